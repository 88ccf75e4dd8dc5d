#!/bin/bash
# Installs what is missing, builds everything, runs the tests, and ends with one line: N passed, N failed[, N skipped].
#
#   test.sh [--no-guests] [--filter EXPRESSION] [--list] [PROJECT...]
#
# PROJECT is a part of a test project's name (Guest, Kvm, Virtio, ...); default: all, guests last. --filter goes to dotnet test.
# Guest tests run on hardware KVM or else in the lab. Results (trx, logs) land in artifacts/test-results.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

guests=1 filter='' list=0 wanted=()
while [ $# -gt 0 ]; do
    case $1 in
        --no-guests) guests=0 ;;
        --filter) [ $# -ge 2 ] || die_status=2 die "--filter needs a value"; filter=$2; shift ;;
        --list) list=1 ;;
        -*) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; die_status=2 die "unknown option $1" ;;
        *) wanted+=("$1") ;;
    esac
    shift
done

projects=() last=()
for project in "$repo"/tests/*Tests/*.csproj; do
    name=$(basename -- "$project" .csproj)
    if [ ${#wanted[@]} -gt 0 ]; then
        match=0
        for word in "${wanted[@]}"; do [[ ${name,,} != *"${word,,}"* ]] || match=1; done
        [ "$match" = 1 ] || continue
    fi
    case $name in
        *GuestTests) [ "$guests" = 0 ] || last+=("$name") ;;
        *) projects+=("$name") ;;
    esac
done
projects+=(${last[@]+"${last[@]}"})
[ ${#projects[@]} -gt 0 ] || die_status=2 die "no test project matches: ${wanted[*]}"
if [ "$list" = 1 ]; then printf '%s\n' "${projects[@]}"; exit 0; fi

"$repo/scripts/install-deps.sh"
cd "$repo"
step "restoring packages" retry dotnet restore KvmSharp.sln
step "building the solution" dotnet build KvmSharp.sln -c Release --no-restore -v q
step "building artifacts/kvmsharp" "$repo/scripts/build.sh"
[ ${#last[@]} = 0 ] || "$repo/scripts/guest.sh" all >/dev/null

results=$repo/artifacts/test-results
rm -rf "$results"
mkdir -p "$results"
passed=0 failed=0 skipped=0
for name in "${projects[@]}"; do
    started=$(now_ms)
    arguments=(test "tests/$name" -c Release --no-build --nologo --results-directory "$results/$name" --logger "trx;LogFileName=$name.trx")
    [ -z "$filter" ] || arguments+=(--filter "$filter")
    say "$name ..."
    status=0
    # A hang is a failure of its own; guests get the time they need in the lab.
    limit=600
    [ "$name" != KvmSharp.GuestTests ] || limit=2250
    run=(timeout --kill-after=20 "$limit" dotnet "${arguments[@]}")
    # Taps, namespaces and /dev/kvm are for root; guests in the lab have all of that there.
    if [ "$(id -u)" = 0 ] || { [ "$name" = KvmSharp.GuestTests ] && ! has_hardware_kvm; }; then
        "${run[@]}" </dev/null >"$results/$name.log" 2>&1 || status=$?
    else
        as_root env "PATH=$PATH" "HOME=$HOME" ${DOTNET_ROOT:+"DOTNET_ROOT=$DOTNET_ROOT"} "DOTNET_CLI_HOME=$results/home" DOTNET_CLI_TELEMETRY_OPTOUT=1 \
            "${run[@]}" </dev/null >"$results/$name.log" 2>&1 || status=$?
        as_root chown -R "$(id -u):$(id -g)" "$results"
    fi
    trx=$results/$name/$name.trx
    p=0 f=0 s=0
    if [ -e "$trx" ]; then
        counters=$(grep -o '<Counters [^>]*>' "$trx" | head -n 1)
        count() { local v=${counters#*" $1=\""}; [ "$v" = "$counters" ] && echo 0 || echo "${v%%\"*}"; }
        p=$(count passed) f=$(($(count failed) + $(count error) + $(count timeout) + $(count aborted)))
        s=$(($(count total) - $(count executed)))
    fi
    # A run that ended badly without counting a failure (crash, hang, no tests found) is one.
    if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; say "$name ended with status $status"; fi
    [ "$f" = 0 ] || grep -vE '^\s*$' "$results/$name.log" | tail -n 80 | sed 's/^/    /' >&2
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    elapsed=$(($(now_ms) - started))
    say "$name: $p passed, $f failed, $s skipped ($((elapsed / 1000)) s)"
done

line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line+=", $skipped skipped"
echo "$line"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
