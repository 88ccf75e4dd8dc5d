#!/bin/bash
# vhost-user back ends beside others, on this machine, without a guest. Medians of interleaved rounds.
#
#   bench-vhost-user.sh [GROUP...]     blk: 4 KiB random reads and writes through `kvmsharp serve blk` and qemu-storage-daemon, on one image in memory
#                                      net: frames through `kvmsharp serve net` and DPDK's vhost library under one DPDK driver; CPU time of a frame, and when idle
#                                      guests: 64 of them, a disk each, on one `kvmsharp serve blk` with two I/O threads: requests, how fair, memory of each
#
# ROUNDS (default 5) and BENCH_SECONDS (default 2) of each measurement. Prints "figure NAME VALUE UNIT" lines.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/bench.sh"
. "$repo/scripts/lib/bench-vhost-user-blk.sh"
. "$repo/scripts/lib/bench-vhost-user-net.sh"
. "$repo/scripts/lib/bench-vhost-user-guests.sh"

kvmsharp=${KVMSHARP:-$repo/artifacts/kvmsharp}
[ -x "$kvmsharp" ] || die "$kvmsharp is missing: scripts/build.sh makes it"
rounds=${ROUNDS:-5} seconds=${BENCH_SECONDS:-2}
start_samples
[ $# -gt 0 ] || set -- blk net guests
for group in "$@"; do
    case $group in
        blk) bench_blk ;;
        net) bench_net ;;
        guests) bench_guests ;;
        *) die "usage: bench-vhost-user.sh [blk|net|guests...]" ;;
    esac
done
