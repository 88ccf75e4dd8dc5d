#!/bin/bash
# What a VMM with an idle guest of 256 MiB costs beyond the guest's memory. Runs where the guest runs.
#   vmm-memory.sh NAME COMMAND...   prints "NAME PRIVATE_DIRTY_KIB RESIDENT_KIB", or "NAME none" when the guest did not come up
# The command runs a guest whose console is its standard output. Guest memory is the mapping of exactly 256 MiB.
set -eu
name=$1
shift
out=$(mktemp "${TMPDIR:-/tmp}"/vmm-memory.XXXXXX)
"$@" >"$out" 2>&1 </dev/null &
pid=$!
trap 'kill -9 $pid 2>/dev/null; rm -f "$out"' EXIT
for _ in $(seq 600); do
    grep -q KVMSHARP-GUEST-READY "$out" && break
    kill -0 $pid 2>/dev/null || { echo "$name none"; exit 0; }
    sleep 0.1
done
grep -q KVMSHARP-GUEST-READY "$out" || { echo "$name none"; exit 0; }
sleep 4 # the guest settles at its shell
awk -v name="$name" '
    /^[0-9a-f]+-[0-9a-f]+ / { guest = 0 }
    /^Size:/ { if ($2 == 262144) guest = 1 }
    /^Rss:/ && !guest { rss += $2 }
    /^Private_Dirty:/ && !guest { dirty += $2 }
    END { print name, dirty, rss }' /proc/$pid/smaps
