# Sourced by bench-io.sh: what the sandbox costs on the data path. The same guest with a disk and a network, confined and not, in turn.
# shellcheck shell=bash

sandbox_states=(on off)
sandbox_tests=(tcp_out tcp_in udp64_out read4k)
sandbox_image=/dev/shm/kvmsharp-bench-$$.img
sandbox_tap=bench0
sandbox_complete() { grep -q '^NET tap' "$samples/log" && ! grep -q '^NET [a-z0-9_]* *$' "$samples/log"; }
sandbox_prepare() { in_lab --timeout 60 -- dd if=/dev/zero "of=$sandbox_image" bs=1M count=256 status=none </dev/null; }

sandbox_run() { # STATE OPTIONS-FOR-THE-GUEST
    local command
    bench_command kvmsharp "$sandbox_initrd" 1 "$2"
    command+=(--net "tap=$sandbox_tap,id=bench" --disk "file=$sandbox_image,id=disk" --sandbox "$1")
    run_bench_guest sandbox "$1" unshare --net "$repo/scripts/lib/bench-io-net-host" "$sandbox_tap" 1 "${command[@]}"
}

# Rounds of both states in turn, the first one changing: samples STATE.TEST.
sandbox_measure() {
    local round state name value line order tests
    tests=$(IFS=,; echo "${sandbox_tests[*]}")
    for ((round = 0; round <= rounds; round++)); do # round 0 finds cold caches and does not count
        order=("${sandbox_states[@]}")
        [ $((round % 2)) = 0 ] || order=(off on)
        for state in "${order[@]}"; do
            sandbox_run "$state" "bench.tests=$tests bench.seconds=$([ "$round" = 0 ] && echo 1 || echo "${BENCH_SECONDS:-3}")" || continue
            [ "$round" != 0 ] || continue
            line=''
            while read -r _ name value; do
                case $name in udp64_sent | read4k_done | tap) continue ;; esac
                add_sample "$state.$name" "$value"
                line+=" $name $value"
            done < <(grep '^NET ' "$samples/log")
            say "sandbox: round $round of $rounds, $state:$line"
        done
    done
}

bench_sandbox() {
    local name on off
    sandbox_initrd=$(scripts/guest.sh initramfs --tools --script scripts/lib/bench-io-net-guest 6.12 cloud virtio_net virtio_blk pktgen)
    start_bench_lab sandbox --smp "${BENCH_SMP:-2}"
    sandbox_prepare
    sandbox_measure
    printf '%-18s %12s %12s %8s\n' '' on off on/off
    for name in "${sandbox_tests[@]}"; do
        on=$(median_of "on.$name") off=$(median_of "off.$name")
        [ -n "$on" ] && [ -n "$off" ] || die "sandbox: no sample of $name"
        printf '%-18s %12.0f %12.0f %8s\n' "$name" "$on" "$off" "$(ratio "$on" "$off")"
        add_sample ratios "$(awk -v a="$on" -v b="$off" 'BEGIN { print a / b }')"
    done
    echo 'TCP in kbit/s, UDP in packets per second, reads in I/Os per second'
    printf 'figure sandbox.datapath.ratio %.2f x\n' "$(median_of ratios)"
    report_lost sandbox
    in_lab -- rm -f "$sandbox_image" </dev/null
}
