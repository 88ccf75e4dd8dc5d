#!/bin/bash
# Boots Debian under KvmSharp: a stock kernel, systemd, a root file system on a virtio disk and a network to this machine. Installs what
# is missing, builds, makes the guest, and gives you a root shell. Where the CPU offers no virtualization the same happens in the lab
# (see lab.sh), which takes longer. Without a terminal the guest checks itself instead; status 0 only when all is as it should be.
#
#   demo.sh [--check] [--memory SIZE] [--cpus N] [--kernel 6.1|6.12] [--flavour cloud|generic] [--disk FILE | --quick] [-- OPTIONS OF kvmsharp run]
#
# Each run gets a fresh disk that is gone afterwards; --disk FILE makes one that stays (or takes the one it made before).
# --quick boots a busybox initramfs instead: no disk, no network, there in a few seconds.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
started=$(now_ms)

check=0 quick=0 memory=512M cpus='' series=6.12 flavour=cloud disk=''
[ -t 0 ] && [ -t 1 ] || check=1
while [ $# -gt 0 ]; do
    case $1 in
        --) shift; break ;;
        --check) check=1 ;;
        --quick) quick=1 ;;
        --memory | --cpus | --kernel | --flavour | --disk)
            [ $# -ge 2 ] || die_status=2 die "$1 needs a value"
            case $1 in --memory) memory=$2 ;; --cpus) cpus=$2 ;; --kernel) series=$2 ;; --flavour) flavour=$2 ;; --disk) disk=$2 ;; esac
            shift ;;
        *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; die_status=2 die "unknown option $1" ;;
    esac
    shift
done
[ "$quick" = 0 ] || [ -z "$disk" ] || die_status=2 die "--quick has no disk: leave out one of the two"

"$repo/scripts/install-deps.sh" --demo
step "building artifacts/kvmsharp" "$repo/scripts/build.sh"
kernel=$("$repo/scripts/guest.sh" kernel "$series" "$flavour")
version=$(cat "$kernel/version")
if [ -z "$cpus" ]; then cpus=1; ! has_hardware_kvm || cpus=2; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/kvmsharp-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/scratch"
lab=("$repo/scripts/lab.sh" --scratch "$work/scratch")

# The two settings after quiet take seconds off a boot on emulated hardware and matter little elsewhere.
append='console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1'
run=("$repo/artifacts/kvmsharp" run --kernel "$kernel/vmlinuz" --memory "$memory" --cpus "$cpus" --serial stdio)
if [ "$quick" = 1 ]; then
    initramfs=$("$repo/scripts/guest.sh" initramfs "$series" "$flavour")
    what="Linux $version with busybox"
else
    initramfs=$("$repo/scripts/guest.sh" root-initramfs "$series" "$flavour")
    image=$("$repo/scripts/guest.sh" rootfs)
    what="Debian with Linux $version"
    cache_mode=writeback
    if [ -n "$disk" ]; then
        disk=$(realpath -m -- "$disk")
        [ -d "${disk%/*}" ] || die_status=2 die "no folder ${disk%/*} for the disk"
        lab+=(--share "${disk%/*}")
    else
        # Nobody will want this one after a crash.
        disk=$work/scratch/disk.img cache_mode=unsafe
    fi
    [ -e "$disk" ] || cp --reflink=auto --sparse=always "$image" "$disk"
    append+=" root=/dev/vda ip={guest}::{host}:255.255.255.252:debian::none"
    run=("$repo/scripts/lib/with-tap" "${run[@]}" --disk "file=${disk//,/,,},cache=$cache_mode" --net 'tap={tap}' --rng)
fi
run+=(--initrd "$initramfs")

if [ "$check" = 0 ]; then
    has_hardware_kvm || say "$(no_hardware_kvm): starting the lab first (about 6 s)"
    if [ "$quick" = 1 ]; then
        ending="'poweroff -f' in the guest or Ctrl-A x ends it"
        append+=' kvmsharp.test=shell'
    else
        ending="'poweroff' in the guest or Ctrl-A x ends it"
        append+=' systemd.show_status=yes'
        size=$(stty size) || size='24 80'
        append+=" kvmsharp.terminal=${size/ /x},${TERM:-vt220}"
    fi
    say "booting $what; $ending"
    status=0
    "${lab[@]}" -- "${run[@]}" --append "$append" "$@" || status=$?
    exit "$status"
fi

append+=" kvmsharp.test=selfcheck kvmsharp.expect.cpus=$cpus"
[ "$quick" = 1 ] || append+=' SYSTEMD_COLORS=0 kvmsharp.peer={host}'
status=0
say "booting $what for a self-check"
booting=$(now_ms)
"${lab[@]}" --timeout 300 -- "${run[@]}" --append "$append" "$@" </dev/null | tee "$work/output" || status=$?
if [ "$status" != 0 ]; then die "the guest did not end as it should: status $status"; fi
grep -q 'KVMSHARP verdict=pass' "$work/output" || die "the guest booted, but its self-check did not pass"
ended=$(now_ms)
say "the guest booted, checked itself and powered off: $(((ended - booting) / 1000)) s, $(((ended - started) / 1000)) s in all"
