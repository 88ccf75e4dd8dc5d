#!/bin/bash
# SPDX-License-Identifier: MIT
# Measures the machine: cost of an exit. Prints tables for people and one line per figure for programs, `figure NAME VALUE UNIT`.
#
#   scripts/bench-boot.sh [GROUP...]     all groups, or the named ones
#
# A group is a function bench_NAME below, listed in `groups`; it prints its own figures. Peers run in the same group, alternating with KvmSharp.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

groups=(exits)

say() { echo "bench-boot: $*" >&2; }
die() { say "$*"; exit 1; }

# Exit dispatch above a C loop that only calls KVM_RUN, same payload, alternating rounds: exit.pio.over_floor, exit.mmio.over_floor.
bench_exits() {
    [ -r /dev/kvm ] && [ -w /dev/kvm ] || die "exits: /dev/kvm is absent or not permitted"
    make --silent -C native-shims exit-floor
    dotnet build tests/KvmSharp.Benchmarks -c Release -v q -clp:ErrorsOnly --nologo >&2
    dotnet tests/KvmSharp.Benchmarks/bin/Release/net10.0/KvmSharp.Benchmarks.dll exits artifacts/native/exit-floor "${EXIT_ROUNDS:-11}"
}

for g in "$@"; do
    case " ${groups[*]} " in *" $g "*) ;; *) say "no group '$g'; there are: ${groups[*]}"; exit 2 ;; esac
done
[ $# -gt 0 ] || set -- "${groups[@]}"
for g in "$@"; do
    say "$g ..."
    "bench_$g"
done
