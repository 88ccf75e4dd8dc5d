#!/bin/bash
# Milliseconds from exec to a guest's first user-space line, taken on the clock of the machine the VMM runs on (in the lab: inside
# the lab). Median of several runs, the commands interleaved. One line per command: figure NAME VALUE UNIT, details on stderr.
#
#   bench-first-line.sh [--runs N] [--pattern TEXT] [--in LAB] [--timeout S] NAME 'COMMAND' [NAME 'COMMAND']...
#   bench-first-line.sh [options] --qemu [NAME 'COMMAND']...    adds qemu.pc, qemu.q35, qemu.microvm, and qemu.pc.elf (the ELF kernel)
#
# In a command, $KERNEL, $VMLINUX, $INITRD and $APPEND stand for the guest (Debian 6.12 cloud kernel, small initramfs, which powers
# off right after its first line) and $KVMSHARP for the native binary.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/bench.sh"

runs=5 pattern=KVMSHARP-GUEST-READY lab='' limit=90 qemu=0
while [ $# -gt 0 ]; do
    case $1 in
        --runs) runs=$2; shift ;;
        --pattern) pattern=$2; shift ;;
        --in) lab=$2; shift ;;
        --timeout) limit=$2; shift ;;
        --qemu) qemu=1 ;;
        -*) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; die_status=2 die "unknown option $1" ;;
        *) break ;;
    esac
    shift
done
names=() commands=()
while [ $# -ge 2 ]; do names+=("$1"); commands+=("$2"); shift 2; done
if [ "$qemu" = 1 ]; then
    for machine in pc q35 microvm; do
        names+=("qemu.$machine")
        commands+=("qemu-system-x86_64 -M $machine -accel kvm -cpu host -m 256M -nodefaults -no-user-config -nographic -no-reboot -serial stdio -kernel \$KERNEL -initrd \$INITRD -append \"\$APPEND\"")
    done
    names+=(qemu.pc.elf)
    commands+=("${commands[-3]//\$KERNEL/\$VMLINUX}")
fi
[ ${#names[@]} -gt 0 ] || die_status=2 die "nothing to measure"

kernel=$("$repo/scripts/guest.sh" kernel 6.12 cloud)
initrd=$("$repo/scripts/guest.sh" initramfs)
tool=$("$repo/scripts/lab.sh" --tool)
if [ -n "$lab" ]; then
    bench_lab=$lab
    trap drop_samples EXIT # whoever started the lab ends it
else
    start_bench_lab firstline
fi
kvmsharp=$repo/artifacts/kvmsharp
if [ -n "$bench_lab" ]; then
    # The lab keeps this machine's own files, QEMU among them, in its page cache, but not the repository's, which may change.
    in_lab -- cp "$kvmsharp" /tmp/kvmsharp
    kvmsharp=/tmp/kvmsharp
fi
declare KERNEL=$kernel/vmlinuz VMLINUX=$kernel/vmlinux INITRD=$initrd KVMSHARP=$kvmsharp
declare APPEND='console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1 kvmsharp.test=poweroff'

start_samples
for ((run = 0; run <= runs; run++)); do # run 0 warms the caches and does not count
    for i in "${!names[@]}"; do
        eval "argv=(${commands[i]})" # here, so that no shell is started in the measured time
        line=$(in_lab --timeout $((limit + 30)) -- "$tool" firstline --timeout "$limit" "$pattern" -- "${argv[@]}" </dev/null) || true
        say "${names[i]} run $run: $line"
        set -- $line
        [ "$run" = 0 ] || [ "${2:-none}" = none ] || add_sample "${names[i]}" "$2"
    done
done
for i in "${!names[@]}"; do
    value=$(median_of "${names[i]}")
    if [ -z "$value" ]; then say "${names[i]}: no run reached the line"; continue; fi
    printf 'figure boot.user_line.%s %.1f ms\n' "${names[i]}" "$value"
done
