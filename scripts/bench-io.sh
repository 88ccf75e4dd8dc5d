#!/bin/bash
# Measures virtual disks and networks: the same guest, image and host kernel under KvmSharp and under Debian's QEMU, alternating in
# one run in the lab. Prints tables for people and one line per figure for programs, `figure NAME VALUE UNIT`.
#
#   scripts/bench-io.sh [GROUP...]     all groups (blk net paths sandbox), or the named ones
#
# A group is a function bench_NAME in lib/bench-io-NAME.sh; it prints its own figures. Every figure is a median; a ratio is KvmSharp
# to the best of QEMU's set-ups, higher is better. ROUNDS sets how many runs count (default 5). BENCH_SMP sets the lab's CPUs (2:
# I/O threads run beside the vCPU); a guest that vanishes there is run once more, and the run says how often that happened.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/bench.sh"
cd "$repo"

groups=(blk net paths sandbox)
rounds=${ROUNDS:-5}
kvmsharp=$repo/artifacts/kvmsharp

[ $# -gt 0 ] || set -- "${groups[@]}"
for g in "$@"; do
    case " ${groups[*]} " in *" $g "*) ;; *) die_status=2 die "no group '$g'; there are: ${groups[*]}" ;; esac
    [ ! -e "scripts/lib/bench-io-$g.sh" ] || . "scripts/lib/bench-io-$g.sh"
done
[ -x "$kvmsharp" ] || scripts/build.sh >&2
kernel=$(scripts/guest.sh kernel 6.12 cloud)/vmlinuz
for g in "$@"; do
    declare -F "bench_$g" >/dev/null || { say "$g: not there yet"; continue; }
    say "$g ..."
    start_samples
    bench_lost=0
    "bench_$g"
    stop_bench_lab
done
