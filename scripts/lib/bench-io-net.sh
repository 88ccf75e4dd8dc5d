# Sourced by bench-io.sh: virtio-net on a tap, served in user space (no vhost). The other end is the host itself.
# shellcheck shell=bash

net_tests=(tcp_out tcp_out_sendfile tcp_in udp64_out)
net_peers=(qemu.defaults qemu.rx1024 qemu.nomrg)
net_vcpus=${BENCH_NET_VCPUS:-1}
net_tap=bench0

net_prepare() { true; }
# The host has told what it saw, and every test has its value.
net_complete() { grep -q '^NET tap' "$samples/log" && ! grep -q '^NET [a-z0-9_]* *$' "$samples/log"; }

# One guest. The peers: what QEMU does unasked (mergeable buffers, rings of 256, tx=bh), and what a user would try first.
net_run() { # VMM OPTIONS-FOR-THE-GUEST
    local command netdev device=virtio-net-pci,netdev=n0
    netdev="tap,id=n0,ifname=$net_tap,script=no,downscript=no,vhost=off"
    [ "$net_vcpus" = 1 ] || { netdev+=",queues=$net_vcpus"; device+=",mq=on,vectors=$((2 * net_vcpus + 2))"; }
    bench_command "$1" "$net_initrd" "$net_vcpus" "$2"
    case $1 in
        kvmsharp) command+=(--net "tap=$net_tap,queues=$net_vcpus,id=bench") ;;
        qemu.defaults) command+=(-netdev "$netdev" -device "$device") ;;
        qemu.rx1024) command+=(-netdev "$netdev" -device "$device,rx_queue_size=1024") ;;
        qemu.nomrg) command+=(-netdev "$netdev" -device "$device,mrg_rxbuf=off") ;;
    esac
    run_bench_guest net "$1" unshare --net "$repo/scripts/lib/bench-io-net-host" "$net_tap" "$net_vcpus" "${command[@]}"
}

# Rounds of every VMM in turn: samples VMM.TEST, in kbit/s or packets per second.
net_measure() {
    local round vmm name value line
    # The first guests of a lab find cold caches: one of each kind that does not count.
    for vmm in kvmsharp "${net_peers[0]}"; do net_run "$vmm" "bench.tests=tcp_in bench.seconds=1" || continue; done
    for ((round = 1; round <= rounds; round++)); do
        for vmm in kvmsharp "${net_peers[@]}"; do
            net_run "$vmm" "bench.tests=$(IFS=,; echo "${net_tests[*]}") bench.seconds=${BENCH_SECONDS:-3} bench.streams=$net_vcpus" || continue
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

net_run_packets() { net_run kvmsharp "bench.tests=udp64_out bench.packets=$1"; }

bench_net() {
    local name
    net_initrd=$(scripts/guest.sh initramfs --tools --script scripts/lib/bench-io-net-guest 6.12 cloud virtio_net pktgen)
    start_bench_lab net --smp "${BENCH_SMP:-2}"
    net_measure
    compare_head '' "${net_peers[@]}"
    for name in "${net_tests[@]}"; do compare_row "$name" "net.$name" "${net_peers[@]}"; done
    echo 'TCP in kbit/s, UDP in packets per second'
    cat "$samples/figures"
    measure_exits net.exits_per_packet net_run_packets
    report_lost net
}
