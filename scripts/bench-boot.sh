#!/bin/bash
# Measures the machine: cost of an exit, start, memory, boot. Prints tables for people and one line per figure for programs,
# `figure NAME VALUE UNIT`.
#
#   scripts/bench-boot.sh [GROUP...]     all groups (exits start memory boot), or the named ones
#
# A group is a function bench_NAME below, listed in `groups`; it prints its own figures. Peers run in the same group, alternating
# with KvmSharp; every figure is a median. ROUNDS sets how many runs count (default 7).
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/bench.sh"
cd "$repo"

groups=(exits start memory boot)
rounds=${ROUNDS:-7}
kvmsharp=$repo/artifacts/kvmsharp

# Guest files, and the peers' command lines with the guest on them.
prepare() {
    [ -x "$kvmsharp" ] || scripts/build.sh >&2
    kernel=$(scripts/guest.sh kernel 6.12 cloud)/vmlinuz
    initrd=$(scripts/guest.sh initramfs)
}

qemu_cpu=(-cpu host)
qemu_command() { # MACHINE APPEND
    command=(qemu-system-x86_64 -M "$1" -accel kvm ${qemu_cpu[@]+"${qemu_cpu[@]}"} -m 256M -nodefaults -no-user-config -nographic -no-reboot -serial stdio
        -kernel "$kernel" -initrd "$initrd" -append "$2")
}

kvmsharp_command() { # APPEND
    command=("$kvmsharp" run --kernel "$kernel" --initrd "$initrd" --memory 256M --no-reboot --serial stdio --append "$1")
}

# Exit dispatch above a C loop that only calls KVM_RUN, same payload, alternating rounds: exit.pio.over_floor, exit.mmio.over_floor.
bench_exits() {
    [ -r /dev/kvm ] && [ -w /dev/kvm ] || die "exits: /dev/kvm is absent or not permitted"
    "$kvmsharp" bench exits --rounds "${EXIT_ROUNDS:-120}" 2>/dev/null |
        awk '{ print } $1 == "pio-out" || $1 == "mmio-write" { gsub(",", "", $12); split($1, kind, "-"); figures = figures "figure exit." kind[1] ".over_floor " $12 " ns\n" } END { printf "%s", figures }'
}

# What a confined program may call, by role, as it says itself when it starts. Nothing without a sandbox.
sandbox_figures() {
    local command
    kvmsharp_command 'console=ttyS0'
    { artifacts/native/first-run "${command[@]}" --log-level info 2>&1 >/dev/null </dev/null || true; } |
        sed -nE 's|.*system calls by role: vCPU ([0-9]+), I/O ([0-9]+).*|figure sandbox.vcpu_syscalls \1 calls\nfigure sandbox.io_syscalls \2 calls|p'
}

starts=(kvmsharp kvmsharp_open floor qemu_microvm qemu_pc)
# From exec to the first KVM_RUN with a stock kernel, initramfs and 256 MiB, on this machine: start.first_run, what of it is the sandbox, QEMU's, and the floor: a C
# program that makes a VM and reads the same unpacked kernel and initramfs into it.
bench_start() {
    make --silent -C native-shims first-run start-floor
    local round name line qemu_cpu=() # QEMU cannot set every MSR of a host without hardware KVM
    local -x XDG_CACHE_HOME=$samples/cache # a cache with this kernel only, for the floor to find
    for ((round = 0; round <= rounds; round++)); do # round 0 warms the caches
        for name in "${starts[@]}"; do
            case $name in
                kvmsharp) kvmsharp_command 'console=ttyS0' ;;
                kvmsharp_open) kvmsharp_command 'console=ttyS0'; command+=(--sandbox off) ;;
                floor) command=(artifacts/native/start-floor "$XDG_CACHE_HOME"/kvmsharp/unpacked/*.kernel "$initrd") ;;
                *) qemu_command "${name#qemu_}" 'console=ttyS0' ;;
            esac
            line=$(artifacts/native/first-run "${command[@]}" 2>/dev/null </dev/null) || die "start: $name ended before its first KVM_RUN"
            [ "$round" = 0 ] || add_sample "$name.ms" "${line#* }"
        done
    done
    printf '%-18s %18s\n' VMM 'first KVM_RUN (ms)'
    for name in "${starts[@]}"; do printf '%-18s %18.1f\n' "$name" "$(median_of "$name.ms")"; done
    printf 'figure start.first_run %.1f ms\n' "$(median_of kvmsharp.ms)"
    printf 'figure sandbox.start_cost %.1f ms\n' "$(awk -v on="$(median_of kvmsharp.ms)" -v off="$(median_of kvmsharp_open.ms)" 'BEGIN { print on - off }')"
    for name in floor qemu_microvm qemu_pc; do printf 'figure start.first_run.%s %.1f ms\n' "$name" "$(median_of "$name.ms")"; done
    printf 'figure start.first_run.over_floor %.2f x\n' "$(ratio "$(median_of kvmsharp.ms)" "$(median_of floor.ms)")"
    sandbox_figures
}

mib_of() { median_of "$1" | awk '{ printf "%.1f", $1 / 1024 }'; } # SAMPLE, in KiB
# Memory beyond the guest's 256 MiB with the guest idle at its shell, from smaps: memory.private_dirty, memory.beyond_guest.
bench_memory() {
    local append='console=ttyS0 quiet init_on_alloc=0 mitigations=off kvmsharp.test=idle'
    local round name dirty resident
    start_bench_lab memory
    for ((round = 0; round < (rounds + 1) / 2; round++)); do
        for name in kvmsharp qemu_microvm qemu_pc; do
            if [ "$name" = kvmsharp ]; then kvmsharp_command "$append"; else qemu_command "${name#qemu_}" "$append"; fi
            in_lab --timeout 120 -- scripts/lib/vmm-memory.sh "$name" "${command[@]}" </dev/null >"$samples/line"
            read -r _ dirty resident <"$samples/line"
            [ "$dirty" != none ] || { say "memory: $name: the guest did not come up, round not counted"; continue; }
            add_sample "$name.dirty" "$dirty"
            add_sample "$name.resident" "$resident"
        done
    done
    stop_bench_lab
    printf '%-14s %20s %20s\n' VMM 'private dirty (MiB)' 'beyond guest (MiB)'
    for name in kvmsharp qemu_microvm qemu_pc; do
        [ -s "$samples/$name.dirty" ] || die "memory: no round of $name counted"
        printf '%-14s %20s %20s\n' "$name" "$(mib_of "$name.dirty")" "$(mib_of "$name.resident")"
    done
    echo "figure memory.private_dirty $(mib_of kvmsharp.dirty) MiB"
    echo "figure memory.beyond_guest $(mib_of kvmsharp.resident) MiB"
    echo "figure memory.private_dirty.qemu_pc $(mib_of qemu_pc.dirty) MiB"
    echo "figure memory.beyond_guest.qemu_pc $(mib_of qemu_pc.resident) MiB"
}

# From exec to the guest's first user-space line, beside QEMU's pc, q35 and microvm, and the exits until then: boot.user_line.ratio,
# boot.exits. The guest powers off right after that line.
bench_boot() {
    local results=$samples/lines
    start_bench_lab boot
    # shellcheck disable=SC2016 # expanded where the guest runs
    scripts/bench-first-line.sh --runs "$rounds" ${bench_lab:+--in "$bench_lab"} --qemu kvmsharp \
        '$KVMSHARP run --kernel $KERNEL --initrd $INITRD --memory 256M --no-reboot --serial stdio --append "$APPEND"' \
        kvmsharp.elf '$KVMSHARP run --kernel $VMLINUX --initrd $INITRD --memory 256M --no-reboot --serial stdio --append "$APPEND"' >"$results"
    cat "$results"
    # The stock bzImage under every machine type, and, beside it, its ELF kernel, which has nothing to decompress.
    awk '{ if ($2 ~ /\.elf$/) { if ($2 ~ /qemu/) best_elf = $3; else ours_elf = $3 } else if ($2 !~ /qemu/) ours = $3; else if (!best || $3 < best) best = $3 }
        END { if (!best || !ours || !best_elf || !ours_elf) exit 1; printf "figure boot.user_line.ratio %.2f x\nfigure boot.user_line.elf.ratio %.2f x\n", ours / best, ours_elf / best_elf }' \
        "$results" || die "boot: a side of the ratio is missing"
    kvmsharp_command 'console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1 kvmsharp.test=poweroff'
    in_lab --timeout 120 -- "${command[@]}" --stats </dev/null >/dev/null 2>"$results"
    cat "$results"
    awk '$2 == "exits" && $3 == "total" { print "figure boot.exits", $4, "exits" }' "$results"
    stop_bench_lab
}

for g in "$@"; do
    case " ${groups[*]} " in *" $g "*) ;; *) die_status=2 die "no group '$g'; there are: ${groups[*]}" ;; esac
done
[ $# -gt 0 ] || set -- "${groups[@]}"
prepare
for g in "$@"; do
    say "$g ..."
    start_samples
    "bench_$g"
done
