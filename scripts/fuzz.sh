#!/bin/bash
# Fuzzes parsers and devices in turn, one thread, and prints the iterations of each target and of all.
#
#   fuzz.sh TIME [TARGET...]      TIME: seconds in all, or with s, m or h; without targets: all of them
#   fuzz.sh --list
#
# Inputs that break something are kept in tests/KvmSharp.Fuzz/corpus, which the tests replay. FUZZ_SEED sets the first seed.
# Ends with: figure fuzz.iterations N count, figure fuzz.open_findings N count. Status 1 with a finding.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

usage() { sed -n '4,5p' "$0" >&2; die_status=2 die "$1"; }

[ $# -ge 1 ] || usage "TIME is missing"
program=$repo/tests/KvmSharp.Fuzz/bin/Release/net10.0/KvmSharp.Fuzz
if [ "${FUZZ_NO_BUILD:-0}" = 0 ]; then
    step "building the fuzzer" dotnet build "$repo/tests/KvmSharp.Fuzz" -c Release -v q --nologo
fi
if [ "$1" = --list ]; then exec "$program" list; fi

[[ $1 =~ ^([0-9]+)([smh]?)$ ]] || usage "'$1' is not a time, as 60, 90s, 10m or 1h"
case ${BASH_REMATCH[2]} in m) unit=60 ;; h) unit=3600 ;; *) unit=1 ;; esac
seconds=$((10#${BASH_REMATCH[1]} * unit))
[ "$seconds" -gt 0 ] || usage "the time must not be 0"
shift
mapfile -t known < <("$program" list)
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
    printf '%s\n' "${known[@]}" | grep -qxF -- "$target" || usage "there is no target '$target'; fuzz.sh --list shows them"
done

each=$(awk -v s="$seconds" -v n="${#targets[@]}" 'BEGIN { printf "%.1f", s / n }')
seed=${FUZZ_SEED:-$(date +%s)}
corpus=$repo/tests/KvmSharp.Fuzz/corpus
total=0 findings=0
log=$(mktemp "${TMPDIR:-/tmp}/kvmsharp-fuzz.XXXXXX")
trap 'rm -f "$log"' EXIT
for target in "${targets[@]}"; do
    status=0
    "$program" run "$target" "$each" "$corpus" "$seed" >"$log" 2>&1 || status=$?
    cat "$log"
    line=$(grep -E "^$target: [0-9]+ iterations" "$log" || true)
    if [ -n "$line" ]; then
        n=${line#*: }
        total=$((total + ${n%% *}))
        f=${line% findings,*}
        findings=$((findings + ${f##* }))
    else
        # It died or hung: a last run turns its journal into a corpus file.
        say "$target ended with status $status"
        findings=$((findings + 1))
        "$program" run "$target" 0 "$corpus" "$seed" || true
    fi
done
echo "all: $total iterations, $findings findings"
echo "figure fuzz.iterations $total count"
echo "figure fuzz.open_findings $findings count"
[ "$findings" = 0 ]
