#!/bin/bash
# Boots a stock Debian kernel under KvmSharp: installs what is missing, builds, makes the guest, and gives you its shell.
# Where the CPU offers no virtualization the same happens in the lab (see lab.sh), which takes a few seconds more.
# Without a terminal the guest checks itself instead; the status is 0 only when it found everything as it should be.
#
#   demo.sh [--check] [--memory SIZE] [--cpus N] [--kernel 6.1|6.12] [--flavour cloud|generic] [-- OPTIONS OF kvmsharp run]
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

check=0 memory=512M cpus='' series=6.12 flavour=cloud
[ -t 0 ] && [ -t 1 ] || check=1
while [ $# -gt 0 ]; do
    case $1 in
        --) shift; break ;;
        --check) check=1 ;;
        --memory | --cpus | --kernel | --flavour)
            [ $# -ge 2 ] || die_status=2 die "$1 needs a value"
            case $1 in --memory) memory=$2 ;; --cpus) cpus=$2 ;; --kernel) series=$2 ;; --flavour) flavour=$2 ;; esac
            shift ;;
        *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; die_status=2 die "unknown option $1" ;;
    esac
    shift
done

"$repo/scripts/install-deps.sh"
step "building artifacts/kvmsharp" retry "$repo/scripts/build.sh"
kernel=$("$repo/scripts/guest.sh" kernel "$series" "$flavour")
initramfs=$("$repo/scripts/guest.sh" initramfs "$series" "$flavour")
if [ -z "$cpus" ]; then cpus=1; ! has_hardware_kvm || cpus=2; fi

# The two settings after quiet take seconds off a boot on emulated hardware and matter little elsewhere.
append='console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1'
run=("$repo/artifacts/kvmsharp" run --kernel "$kernel/vmlinuz" --initrd "$initramfs" --memory "$memory" --cpus "$cpus" --serial stdio)

if [ "$check" = 0 ]; then
    has_hardware_kvm || say "no hardware virtualization here: starting the lab first (about 6 s)"
    say "booting Linux $(cat "$kernel/version"); 'poweroff -f' in the guest or Ctrl-A x ends it"
    status=0
    "$repo/scripts/lab.sh" -- "${run[@]}" --append "$append kvmsharp.test=shell" "$@" || status=$?
    exit "$status"
fi

output=$(mktemp /tmp/kvmsharp-demo.XXXXXX)
trap 'rm -f "$output"' EXIT
status=0
say "booting Linux $(cat "$kernel/version") for a self-check"
"$repo/scripts/lab.sh" --timeout 240 -- "${run[@]}" --append "$append kvmsharp.test=selfcheck kvmsharp.expect.cpus=$cpus" "$@" \
    </dev/null | tee "$output" || status=$?
if [ "$status" != 0 ]; then die "the guest did not end as it should: status $status"; fi
grep -q 'KVMSHARP verdict=pass' "$output" || die "the guest booted, but its self-check did not pass"
say "the guest booted, checked itself and powered off"
