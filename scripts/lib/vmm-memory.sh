#!/bin/bash
# What a VMM with an idle guest of 256 MiB costs beyond the guest's memory. Runs where the guest runs.
#   vmm-memory.sh NAME COMMAND...   prints "NAME PRIVATE_DIRTY_KIB RESIDENT_KIB", or "NAME none" when the guest did not come up
# The command runs a guest whose console is its standard output. Guest memory is the mapping of exactly 256 MiB.
# Its children count with what is theirs alone; what it shares with them is its own.
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
maps=(/proc/$pid/smaps)
for child in $(cat /proc/$pid/task/*/children); do maps+=(/proc/$child/smaps); done
awk -v name="$name" '
    FNR == 1 { of++ }
    /^[0-9a-f]+-[0-9a-f]+ / { guest = 0 }
    /^Size:/ { if ($2 == 262144) guest = 1 }
    guest { next }
    of == 1 && /^Rss:/ { rss += $2 }
    of == 1 && /^(Private|Shared)_Dirty:/ { dirty += $2 }
    of > 1 && /^Private_/ { rss += $2 }
    of > 1 && /^Private_Dirty:/ { dirty += $2 }
    END { print name, dirty, rss }' "${maps[@]}"
