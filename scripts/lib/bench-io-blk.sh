# Sourced by bench-io.sh: virtio-blk. The image is a file on tmpfs whose blocks are all there, so that no disk bounds anything.
# shellcheck shell=bash

blk_jobs=(randread4k.qd1 randread4k.qd32 randwrite4k.qd32 seqread128k.qd8)
blk_peers=(qemu.uring qemu.native qemu.threads qemu.defaults)
blk_image=/dev/shm/kvmsharp-bench-$$.img
blk_vcpus=1

blk_prepare() { in_lab --timeout 60 -- dd if=/dev/zero "of=$blk_image" bs=1M count=512 status=none </dev/null; }
blk_complete() { true; }

# One guest. The peers: what an experienced user would choose, and what QEMU does unasked.
blk_run() { # VMM OPTIONS-FOR-THE-GUEST
    local command drive="file=$blk_image,format=raw,if=none,id=d0"
    bench_command "$1" "$blk_initrd" "$blk_vcpus" "$2"
    case $1 in
        kvmsharp) command+=(--disk "file=$blk_image,queues=$blk_vcpus,id=bench") ;;
        qemu.uring) command+=(-object iothread,id=io0 -drive "$drive,aio=io_uring" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.native) command+=(-object iothread,id=io0 -drive "$drive,cache=none,aio=native" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.threads) command+=(-object iothread,id=io0 -drive "$drive,aio=threads" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.defaults) command+=(-drive "$drive" -device virtio-blk-pci,drive=d0) ;;
    esac
    run_bench_guest blk "$1" "${command[@]}"
}

# Rounds of every VMM in turn: samples VMM.JOB, in I/Os per second.
blk_measure() { # JOB,JOB... VMM...
    local jobs=$1 round vmm name reads writes line
    shift
    for ((round = 1; round <= rounds; round++)); do
        for vmm in "$@"; do
            blk_run "$vmm" "bench.jobs=$jobs bench.seconds=${BENCH_SECONDS:-3} bench.threads=$blk_vcpus" || continue
            line=''
            while read -r _ name reads writes; do
                add_sample "$vmm.$name${blk_suffix:-}" $((reads + writes))
                line+=" $((reads + writes))"
            done < <(grep '^FIO ' "$samples/log")
            say "blk: round $round of $rounds, $vmm:$line"
        done
    done
}

blk_run_ios() { blk_run kvmsharp "bench.jobs=randread4k.qd32 bench.ios=$1"; }

# Two vCPUs, two queues, two submitters. The lab has two CPUs for them and for the I/O threads.
blk_scaling() {
    local rounds=$(((rounds + 1) / 2)) one two
    blk_vcpus=2 blk_suffix=.vcpus2 blk_measure randread4k.qd32 kvmsharp qemu.native
    one=$(median_of kvmsharp.randread4k.qd32) two=$(median_of kvmsharp.randread4k.qd32.vcpus2)
    printf "%-18s %12.0f %14s %14.0f\n" "randread4k.qd32, 2 vCPUs" "$two" "qemu.native:" "$(median_of qemu.native.randread4k.qd32.vcpus2)"
    echo "figure blk.randread4k.qd32.two_vcpus $(ratio "$two" "$one") x"
}

bench_blk() {
    local jobs job
    jobs=$(IFS=,; echo "${blk_jobs[*]}")
    blk_initrd=$(scripts/guest.sh initramfs --tools --script scripts/lib/bench-io-blk-guest 6.12 cloud virtio_blk)
    start_bench_lab blk --smp "${BENCH_SMP:-2}"
    blk_prepare
    blk_measure "$jobs" kvmsharp "${blk_peers[@]}"
    compare_head 'I/Os per second' "${blk_peers[@]}"
    for job in "${blk_jobs[@]}"; do compare_row "$job" "blk.${job%.qd8}" "${blk_peers[@]}"; done
    cat "$samples/figures"
    measure_exits blk.exits_per_io blk_run_ios
    blk_scaling
    report_lost blk
    in_lab -- rm -f "$blk_image" </dev/null
}
