# Sourced by bench-io.sh: virtio-net on a tap, served in user space (no vhost). The other end is the host itself.
# shellcheck shell=bash

net_tests=(tcp_out tcp_out_sendfile tcp_in udp64_out)
net_peers=(qemu.defaults qemu.rx1024 qemu.nomrg)
net_vcpus=${BENCH_NET_VCPUS:-1}
net_tap=bench0
net_lost=0

# The peers: what QEMU does unasked (mergeable buffers, rings of 256, tx=bh), and what a user would try first.
net_command() { # VMM APPEND
    local append="console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1 kvmsharp.test=script $2" netdev device
    netdev="tap,id=n0,ifname=$net_tap,script=no,downscript=no,vhost=off"
    device="virtio-net-pci,netdev=n0"
    [ "$net_vcpus" = 1 ] || { netdev+=",queues=$net_vcpus"; device+=",mq=on,vectors=$((2 * net_vcpus + 2))"; }
    command=(qemu-system-x86_64 -M pc -accel kvm -cpu host -m 768M -smp "$net_vcpus" -nodefaults -no-user-config -nographic -no-reboot -serial stdio
        -kernel "$kernel" -initrd "$net_initrd" -append "$append" -netdev "$netdev")
    case $1 in
        kvmsharp)
            command=("$kvmsharp" run --kernel "$kernel" --initrd "$net_initrd" --memory 768M --cpus "$net_vcpus" --no-reboot --serial stdio
                --net "tap=$net_tap,queues=$net_vcpus,id=bench" --stats --append "$append") ;;
        qemu.defaults) command+=(-device "$device") ;;
        qemu.rx1024) command+=(-device "$device,rx_queue_size=1024") ;;
        qemu.nomrg) command+=(-device "$device,mrg_rxbuf=off") ;;
    esac
}

# One guest from start to power-off; its lines are in $samples/log, the VMM's in $samples/errors.
net_run() { # VMM APPEND
    local attempt
    net_command "$1" "$2"
    for attempt in 1 2 3; do
        if in_lab --timeout 120 -- unshare --net "$repo/scripts/lib/bench-io-net-host" "$net_tap" "$net_vcpus" "${command[@]}" </dev/null 2>"$samples/errors" | tr -d '\r' >"$samples/log" &&
            grep -q '^NET tap' "$samples/log" && ! grep -q '^NET [a-z0-9_]* *$' "$samples/log"; then return; fi
        net_lost=$((net_lost + 1))
        say "net: $1: the guest vanished (attempt $attempt): $(tail -qn 1 "$samples/log" "$samples/errors" | tr '\n' ' ')"
        restart_bench_lab
    done
    die "net: $1 does not get through"
}

# Rounds of every VMM in turn: samples VMM.TEST, in kbit/s or packets per second.
net_measure() {
    local round vmm name value line
    # The first guests of a lab find cold caches: one of each kind that does not count.
    for vmm in kvmsharp "${net_peers[0]}"; do net_run "$vmm" "bench.tests=tcp_in bench.seconds=1"; done
    for ((round = 1; round <= rounds; round++)); do
        for vmm in kvmsharp "${net_peers[@]}"; do
            net_run "$vmm" "bench.tests=$(IFS=,; echo "${net_tests[*]}") bench.seconds=${BENCH_SECONDS:-3} bench.streams=$net_vcpus"
            # A packet that the guest counts and the host did not see would not be one.
            awk '$2 == "udp64_sent" { sent = $3 } $2 == "tap" { seen = $3 } END { exit seen < sent }' "$samples/log" ||
                die "net: $vmm: the tap saw fewer packets than the guest sent: $(grep '^NET' "$samples/log" | tr '\n' ' ')"
            line=''
            while read -r _ name value; do
                case $name in udp64_sent | tap) continue ;; esac
                add_sample "$vmm.$name" "$value"
                line+=" $name $value"
            done < <(grep '^NET ' "$samples/log")
            say "net: round $round of $rounds, $vmm:$line"
        done
    done
}

# Exits of the device to the VMM in steady state: what 20,000 more packets add to the device's counter.
net_exits() {
    local packets
    for packets in 1000 21000; do
        net_run kvmsharp "bench.tests=udp64_out bench.packets=$packets"
        awk '$2 == "device" && $3 == "bench" { count += $4 } END { print count + 0 }' "$samples/errors" >"$samples/exits.$packets"
    done
    awk 'NR == 1 { few = $1 } NR == 2 { printf "figure net.exits_per_packet %.4f exits\n", ($1 - few) / 20000 }' "$samples/exits.1000" "$samples/exits.21000"
}

bench_net() {
    local name vmm best value
    net_initrd=$(scripts/guest.sh initramfs --tools --script scripts/lib/bench-io-net-guest 6.12 cloud virtio_net pktgen)
    start_bench_lab net --smp "${BENCH_SMP:-2}"
    net_measure
    printf '%-12s %12s' '' kvmsharp
    printf ' %14s' "${net_peers[@]}"
    printf '\n'
    for name in "${net_tests[@]}"; do
        printf '%-12s %12.0f' "$name" "$(median_of "kvmsharp.$name")"
        best=0
        for vmm in "${net_peers[@]}"; do
            value=$(median_of "$vmm.$name")
            printf ' %14.0f' "$value"
            best=$(awk -v a="$best" -v b="$value" 'BEGIN { print (a > b ? a : b) }')
        done
        printf '\n'
        echo "figure net.$name.ratio $(awk -v a="$(median_of "kvmsharp.$name")" -v b="$best" 'BEGIN { printf "%.2f", a / b }') x" >>"$samples/figures"
    done
    echo 'TCP in kbit/s, UDP in packets per second'
    cat "$samples/figures"
    net_exits
    [ "$net_lost" = 0 ] || say "net: $net_lost guests vanished and ran again"
}
