#!/bin/bash
# Measures the paths with the bench guest, KvmSharp and Debian's QEMU in turn (kvmsharp bench paths --peer qemu). Prints its table and
# one line per figure for programs, `figure NAME VALUE UNIT`.
#
#   scripts/bench-paths.sh [OPTION OF bench paths...]
#
# Every figure is of the rows with interrupt completion: a polling guest competes with the thread that serves it where there are few
# CPUs. path.blk.qd1.* is the rate of read-4k; a ratio is the geometric mean over all of the path's workloads of KvmSharp's rate to
# QEMU's (medians of the rounds), higher is better. Needs root for the tap, which is in a network namespace of its own. ROUNDS sets how
# many runs count (default 5).
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$repo"

kvmsharp=$repo/artifacts/kvmsharp
[ -x "$kvmsharp" ] || scripts/build.sh >&2
table=$(mktemp "${TMPDIR:-/tmp}/kvmsharp-paths.XXXXXX")
trap 'rm -f "$table"' EXIT

unshare --net -- "$kvmsharp" bench paths --peer qemu --rounds "${ROUNDS:-5}" "$@" >"$table"
cat "$table"
awk '
    # A row: path, workload, completion, side, rate with commas.
    $3 == "interrupt" && ($4 == "kvmsharp" || $4 == "qemu") { gsub(",", "", $5); rate[$4, $1, $2] = $5; works[$1] = works[$1] " " $2 }
    function absolute(name, path) { if ((("kvmsharp" SUBSEP path SUBSEP "read-4k")) in rate) print "figure", name, rate["kvmsharp", path, "read-4k"], "op/s" }
    function ratio(name, path,   list, n, i, sum, count, seen) {
        n = split(works[path], list, " ")
        for (i = 1; i <= n; i++) {
            if (seen[list[i]]++ || !(rate["qemu", path, list[i]] > 0) || !(rate["kvmsharp", path, list[i]] > 0)) continue
            sum += log(rate["kvmsharp", path, list[i]] / rate["qemu", path, list[i]])
            count++
        }
        if (count) printf "figure %s %.2f x\n", name, exp(sum / count)
    }
    END {
        absolute("path.blk.qd1.ide", "ide")
        absolute("path.blk.qd1.virtio", "virtio-blk")
        ratio("path.ide.ratio", "ide")
        ratio("path.e1000.ratio", "e1000")
        ratio("path.virtio_net.ratio", "virtio-net")
        ratio("path.virtio_blk.ratio", "virtio-blk")
    }' "$table"
