# Sourced by bench-io.sh: the same guest by emulated hardware (e1000, IDE), by virtio and by vhost. A tap and an image on tmpfs, as in the
# groups net and blk; the generic kernel, as the cloud kernel has no driver for an e1000.
# shellcheck shell=bash

paths_all=(e1000 virtio vhost)
paths_tests=(tcp_out tcp_in udp64_out round_trip)
paths_image=/dev/shm/kvmsharp-bench-$$.img
paths_tap=bench0
paths_complete() { grep -q '^NET tap' "$samples/log" && ! grep -q '^NET [a-z0-9_]* *$' "$samples/log"; }
paths_prepare() { in_lab --timeout 60 -- dd if=/dev/zero "of=$paths_image" bs=1M count=256 status=none </dev/null; }

# One guest: the disk belongs to the path as well, but vhost has none of its own.
paths_run() { # VMM PATH OPTIONS-FOR-THE-GUEST
    local command
    local drive="file=$paths_image,format=raw,if=none,id=d0" netdev="tap,id=n0,ifname=$paths_tap,script=no,downscript=no"
    kernel=$paths_kernel bench_command "$1" "$paths_initrd" 1 "$3"
    case $1.$2 in
        kvmsharp.e1000) command+=(--net "tap=$paths_tap,model=e1000,id=bench" --disk "file=$paths_image,model=ide,id=disk") ;;
        kvmsharp.virtio) command+=(--net "tap=$paths_tap,id=bench" --disk "file=$paths_image,id=disk") ;;
        kvmsharp.vhost) command+=(--net "tap=$paths_tap,vhost=on,vhostforce=on,id=bench") ;;
        qemu.e1000) command+=(-netdev "$netdev,vhost=off" -device e1000,netdev=n0 -drive "$drive" -device ide-hd,drive=d0) ;;
        qemu.virtio) command+=(-netdev "$netdev,vhost=off" -device virtio-net-pci,netdev=n0 -object iothread,id=io0 -drive "$drive,aio=io_uring" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.vhost) command+=(-netdev "$netdev,vhost=on,vhostforce=on" -device virtio-net-pci,netdev=n0) ;;
    esac
    run_bench_guest paths "$1" unshare --net "$repo/scripts/lib/bench-io-net-host" "$paths_tap" 1 "${command[@]}"
}

# Rounds of every path of every VMM in turn: samples VMM.PATH.TEST.
paths_measure() {
    local round vmm path name value line tests
    for ((round = 1; round <= rounds; round++)); do
        for path in "${paths_all[@]}"; do
            tests=$(IFS=,; echo "${paths_tests[*]}")
            [ "$path" = vhost ] || tests+=,read4k
            for vmm in kvmsharp qemu; do
                paths_run "$vmm" "$path" "bench.tests=$tests bench.seconds=${BENCH_SECONDS:-3}" || continue
                line=''
                while read -r _ name value; do
                    case $name in udp64_sent | read4k_done | tap) continue ;; esac
                    if [ "$name" = read4k ] && [ "$path" = e1000 ]; then name=ide.read4k; else name=$path.$name; fi
                    add_sample "$vmm.$name" "$value"
                    line+=" $name $value"
                done < <(grep '^NET ' "$samples/log")
                say "paths: round $round of $rounds, $vmm, $path:$line"
            done
        done
    done
}

# Exits to the VMM that 2,000 more packets, or reads, add to the device's counter.
paths_exits() { # PATH DEVICE-PATTERN TEST FIGURE
    local operations
    for operations in 500 2500; do
        paths_run kvmsharp "$1" "bench.tests=$3 bench.packets=$operations bench.ios=$operations" || die "$4: no guest got through"
        awk -v pattern="^($2)" '$2 == "device" && $3 ~ pattern { count += $4 } END { print count + 0 }' "$samples/errors" >"$samples/exits.$operations"
    done
    awk -v figure="$4" 'NR == 1 { few = $1 } NR == 2 { printf "figure %s %.3f exits\n", figure, ($1 - few) / 2000 }' "$samples/exits.500" "$samples/exits.2500"
}

# The geometric mean of the ratios of the tests, of those that both have.
paths_ratio() { # FIGURE PATH TEST...
    local test
    for test in "${@:3}"; do echo "$(median_of "kvmsharp.$2.$test") $(median_of "qemu.$2.$test")"; done |
        awk -v figure="$1" 'NF == 2 && $2 > 0 { sum += log($1 / $2); n++ } END { if (n) printf "figure %s %.2f x\n", figure, exp(sum / n) }'
}

bench_paths() {
    local path test unit
    paths_kernel=$(scripts/guest.sh kernel 6.12 generic)/vmlinuz
    paths_initrd=$(scripts/guest.sh initramfs --tools --script scripts/lib/bench-io-net-guest 6.12 generic e1000 ata_piix sd_mod pktgen)
    start_bench_lab paths --smp "${BENCH_SMP:-2}"
    paths_prepare
    paths_measure
    compare_head '' qemu
    for path in "${paths_all[@]}"; do
        for test in "${paths_tests[@]}"; do compare_row "$path.$test" "path.guest.$path.$test" qemu; done
    done
    for path in ide virtio; do compare_row "$path.read4k" "path.guest.$path.read4k" qemu; done
    echo 'TCP in kbit/s, UDP in packets per second, round trips and reads per second'
    cat "$samples/figures"
    for path in "${paths_all[@]}"; do
        for test in "${paths_tests[@]}"; do
            unit=kbit/s
            [ "$test" != udp64_out ] || unit=packets/s
            [ "$test" != round_trip ] || unit=1/s
            echo "figure path.net.${test/udp64_out/pps64}.$path $(median_of "kvmsharp.$path.$test") $unit"
        done
    done
    echo "figure path.guest.blk.qd1.ide $(median_of kvmsharp.ide.read4k) IO/s"
    echo "figure path.guest.blk.qd1.virtio $(median_of kvmsharp.virtio.read4k) IO/s"
    paths_ratio path.guest.e1000.ratio e1000 "${paths_tests[@]}"
    paths_ratio path.vhost.ratio vhost "${paths_tests[@]}"
    paths_ratio path.guest.ide.ratio ide read4k
    for path in "${paths_all[@]}"; do paths_exits "$path" bench udp64_out "path.net.exits_per_packet.$path"; done
    paths_exits e1000 'disk|ide' read4k path.blk.exits_per_io.ide
    paths_exits virtio disk read4k path.blk.exits_per_io.virtio
    report_lost paths
    in_lab -- rm -f "$paths_image" </dev/null
}
