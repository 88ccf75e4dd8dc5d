#!/bin/bash
# Guest images for tests, the demo and benchmarks: stock Debian kernels and a busybox initramfs.
#
#   guest.sh kernel SERIES FLAVOUR              folder with vmlinuz, vmlinux, config, version, root/lib/modules
#   guest.sh initramfs [SERIES FLAVOUR [MODULE...]]  path of an initramfs: without modules, or with some of that kernel (default: lib/guest-modules)
#   guest.sh initramfs --tools [--script FILE] SERIES FLAVOUR [MODULE...]
#                                               the same with fio, iperf3, ethtool, ext4 tools and iproute2, with the modules of lib/guest-tools-modules
#                                               besides those named, and FILE as the /script that kvmsharp.test=script runs
#   guest.sh rootfs [SUITE]                     path of a raw ext4 image with a small Debian (default: bookworm); made once, as root
#   guest.sh root-initramfs SERIES FLAVOUR      path of an initramfs that starts such an image, which has no modules of its own
#   guest.sh openvswitch                        folder with the programs of Open vSwitch on DPDK, a peer of guests
#   guest.sh all                                prepares all of these, prints their folder
#
# SERIES is 6.1 or 6.12, FLAVOUR cloud or generic. The guest's /init is lib/guest-init; it describes its options.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/kernels.sh"
. "$repo/scripts/lib/initramfs.sh"
. "$repo/scripts/lib/guest-tools.sh"
. "$repo/scripts/lib/rootfs.sh"
. "$repo/scripts/lib/openvswitch.sh"

case ${1:-} in
    kernel) [ $# = 3 ] || die "usage: guest.sh kernel SERIES FLAVOUR"; kernel_dir "$2" "$3" ;;
    initramfs)
        shift
        tools=0 script=''
        while :; do
            case ${1:-} in
                --tools) tools=1 ;;
                --script) script=${2:?--script needs a file}; shift ;;
                *) break ;;
            esac
            shift
        done
        if [ $tools = 1 ]; then
            [ $# -ge 2 ] || die "usage: guest.sh initramfs --tools [--script FILE] SERIES FLAVOUR [MODULE...]"
            tools_initramfs "$script" "$@"
        else
            guest_initramfs "$@"
        fi
        ;;
    rootfs) shift; [ $# -le 1 ] || die "usage: guest.sh rootfs [SUITE]"; rootfs_image "$@" ;;
    root-initramfs) [ $# = 3 ] || die "usage: guest.sh root-initramfs SERIES FLAVOUR"; root_initramfs "$2" "$3" ;;
    openvswitch) openvswitch_dir ;;
    all)
        for series in 6.12 6.1; do
            for flavour in cloud generic; do kernel_dir "$series" "$flavour" >/dev/null; guest_initramfs "$series" "$flavour" >/dev/null; root_initramfs "$series" "$flavour" >/dev/null; done
        done
        guest_initramfs >/dev/null
        rootfs_image >/dev/null
        echo "$cache"
        ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0"; die_status=2 die "unknown or missing command" ;;
esac
