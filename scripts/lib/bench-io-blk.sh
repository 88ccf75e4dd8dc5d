# Sourced by bench-io.sh: virtio-blk. The image is a file on tmpfs whose blocks are all there, so that no disk bounds anything.
# shellcheck shell=bash

blk_jobs=(randread4k.qd1 randread4k.qd32 randwrite4k.qd32 seqread128k.qd8)
blk_peers=(qemu.uring qemu.native qemu.threads qemu.defaults)
blk_image=/dev/shm/kvmsharp-bench-$$.img
blk_vcpus=1
blk_lost=0

# The peers: what an experienced user would choose, and what QEMU does unasked.
blk_command() { # VMM APPEND
    local append="console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1 kvmsharp.test=script $2" drive
    drive="file=$blk_image,format=raw,if=none,id=d0"
    command=(qemu-system-x86_64 -M pc -accel kvm -cpu host -m 768M -smp "$blk_vcpus" -nodefaults -no-user-config -nographic -no-reboot -serial stdio
        -kernel "$kernel" -initrd "$blk_initrd" -append "$append")
    case $1 in
        kvmsharp)
            command=("$kvmsharp" run --kernel "$kernel" --initrd "$blk_initrd" --memory 768M --cpus "$blk_vcpus" --no-reboot --serial stdio
                --disk "file=$blk_image,queues=$blk_vcpus,id=bench" --stats --append "$append") ;;
        qemu.uring) command+=(-object iothread,id=io0 -drive "$drive,aio=io_uring" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.native) command+=(-object iothread,id=io0 -drive "$drive,cache=none,aio=native" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.threads) command+=(-object iothread,id=io0 -drive "$drive,aio=threads" -device virtio-blk-pci,drive=d0,iothread=io0) ;;
        qemu.defaults) command+=(-drive "$drive" -device virtio-blk-pci,drive=d0) ;;
    esac
}

blk_make_image() { in_lab --timeout 60 -- dd if=/dev/zero "of=$blk_image" bs=1M count=512 status=none </dev/null; }

# One guest from start to power-off; its lines are in $samples/log, the VMM's in $samples/errors.
blk_run() { # VMM APPEND
    local attempt
    blk_command "$1" "$2"
    for attempt in 1 2 3; do
        if in_lab --timeout 120 -- "${command[@]}" </dev/null 2>"$samples/errors" | tr -d '\r' >"$samples/log" && grep -q '^FIO' "$samples/log"; then return; fi
        blk_lost=$((blk_lost + 1))
        say "blk: $1: the guest vanished (attempt $attempt): $(tail -qn 1 "$samples/log" "$samples/errors" | tr '\n' ' ')"
        restart_bench_lab
        blk_make_image
    done
    die "blk: $1 does not get through"
}

# Rounds of every VMM in turn: samples VMM.JOB, in I/Os per second.
blk_measure() { # JOB,JOB... VMM...
    local jobs=$1 round vmm name reads writes line
    shift
    for ((round = 1; round <= rounds; round++)); do
        for vmm in "$@"; do
            blk_run "$vmm" "bench.jobs=$jobs bench.seconds=${BENCH_SECONDS:-3} bench.threads=$blk_vcpus"
            line=''
            while read -r _ name reads writes; do
                add_sample "$vmm.$name${blk_suffix:-}" $((reads + writes))
                line+=" $((reads + writes))"
            done < <(grep '^FIO ' "$samples/log")
            say "blk: round $round of $rounds, $vmm:$line"
        done
    done
}

# Exits of the device to the VMM in steady state: what 20,000 more I/Os add to the device's counter.
blk_exits() {
    local ios
    for ios in 1000 21000; do
        blk_run kvmsharp "bench.jobs=randread4k.qd32 bench.ios=$ios"
        awk '$2 == "device" && $3 == "bench" { count += $4 } END { print count + 0 }' "$samples/errors" >"$samples/exits.$ios"
    done
    awk 'NR == 1 { few = $1 } NR == 2 { printf "figure blk.exits_per_io %.4f exits\n", ($1 - few) / 20000 }' "$samples/exits.1000" "$samples/exits.21000"
}

# Two vCPUs, two queues, two submitters. The lab has two CPUs for them and for the I/O threads.
blk_scaling() {
    local rounds=$(((rounds + 1) / 2)) one two
    blk_vcpus=2 blk_suffix=.vcpus2 blk_measure randread4k.qd32 kvmsharp qemu.native
    one=$(median_of kvmsharp.randread4k.qd32) two=$(median_of kvmsharp.randread4k.qd32.vcpus2)
    printf "%-18s %12.0f %14s %14.0f\n" "randread4k.qd32, 2 vCPUs" "$two" "qemu.native:" "$(median_of qemu.native.randread4k.qd32.vcpus2)"
    echo "figure blk.randread4k.qd32.two_vcpus $(awk -v a="$two" -v b="$one" "BEGIN { printf \"%.2f\", a / b }") x"
}

bench_blk() {
    local jobs job vmm best value figure
    jobs=$(IFS=,; echo "${blk_jobs[*]}")
    blk_initrd=$(scripts/guest.sh initramfs --tools --script scripts/lib/bench-io-blk-guest 6.12 cloud virtio_blk)
    start_bench_lab blk --smp "${BENCH_SMP:-2}"
    blk_make_image
    blk_measure "$jobs" kvmsharp "${blk_peers[@]}"
    printf '%-18s %12s' 'I/Os per second' kvmsharp
    printf ' %14s' "${blk_peers[@]}"
    printf '\n'
    for job in "${blk_jobs[@]}"; do
        printf '%-18s %12.0f' "$job" "$(median_of "kvmsharp.$job")"
        best=0
        for vmm in "${blk_peers[@]}"; do
            value=$(median_of "$vmm.$job")
            printf ' %14.0f' "$value"
            best=$(awk -v a="$best" -v b="$value" 'BEGIN { print (a > b ? a : b) }')
        done
        printf '\n'
        case $job in seqread128k.*) figure=seqread128k ;; *) figure=$job ;; esac
        echo "figure blk.$figure.ratio $(awk -v a="$(median_of "kvmsharp.$job")" -v b="$best" 'BEGIN { printf "%.2f", a / b }') x" >>"$samples/figures"
    done
    cat "$samples/figures"
    blk_exits
    blk_scaling
    [ "$blk_lost" = 0 ] || say "blk: $blk_lost guests vanished and ran again"
    in_lab -- rm -f "$blk_image" </dev/null
}
