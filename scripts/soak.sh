#!/bin/bash
# Guests under everything at once for a while: verified disk I/O, network traffic, drivers that leave and come back, resets, pauses. Says
# whether data stayed right and whether the program's memory, descriptors and threads stayed flat.
#
#   soak.sh TIME [SEED]      TIME: seconds, or with s, m or h; at least 2m. SEED: what guests and host do follows from it (default: the time)
#
# Two guests at a time, on hardware KVM or in the lab (SOAK_SMP: its CPUs, default 2). Everything is kept in artifacts/soak when something
# failed. Bounds: over the second half own memory (resident, without the guest's) rises by 8 MiB/h and by 2 MiB at most; the fewest descriptors and threads
# of the last quarter (they come and go with work and resets) are no more than the most of the second. Ends with figures; status 1 if data was wrong, a machine was lost or a bound was passed.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/bench.sh"

usage() { sed -n '5p' "$0" >&2; die_status=2 die "$1"; }
[ $# -ge 1 ] && [ $# -le 2 ] || usage "TIME is missing"
[[ $1 =~ ^([0-9]+)([smh]?)$ ]] || usage "'$1' is not a time, as 600, 10m or 1h"
case ${BASH_REMATCH[2]} in m) unit=60 ;; h) unit=3600 ;; *) unit=1 ;; esac
seconds=$((10#${BASH_REMATCH[1]} * unit))
[ "$seconds" -ge 120 ] || usage "$1 is too short: half of it is warming up"
seed=${2:-$(date +%s)}
[[ $seed =~ ^[0-9]{1,12}$ ]] || usage "'$seed' is not a seed"

kvmsharp=$repo/artifacts/kvmsharp
[ -x "$kvmsharp" ] || "$repo/scripts/build.sh" >&2
kernel=$("$repo/scripts/guest.sh" kernel 6.12 cloud)/vmlinuz
initrd=$("$repo/scripts/guest.sh" initramfs --tools --script "$repo/scripts/lib/soak-guest" 6.12 cloud)
logs=$repo/artifacts/soak
rm -rf "$logs"
mkdir -p "$logs"

say "seed $seed, $seconds s, logs in $logs"
start_bench_lab soak --smp "${SOAK_SMP:-2}" --mem 4G --share "$logs"
failed=0
in_lab --timeout $((seconds + 400)) -- unshare --net --mount "$repo/scripts/lib/soak-host" "$seconds" "$seed" "$logs" "$kvmsharp" "$kernel" "$initrd" || failed=1
stop_bench_lab
[ -s "$logs/samples" ] || die "there are no samples; see $logs"

# Rows: machine, second, own KiB, descriptors, threads. Medians of quarters, and Theil and Sen's slope over the second half: the median of
# the slopes between all pairs, which resets do not move.
table() {
    awk -v bound="$seconds" '
        function median(list, count, i, sorted) { # of list[1..count]
            if (count == 0) return 0
            for (i = 1; i <= count; i++) sorted[i] = list[i]
            sort_numbers(sorted, 1, count)
            return count % 2 ? sorted[(count + 1) / 2] : (sorted[count / 2] + sorted[count / 2 + 1]) / 2
        }
        function sort_numbers(a, low, high, i, j, pivot, swap) {
            while (low < high) {
                i = low; j = high; pivot = a[int((low + high) / 2)]
                while (i <= j) {
                    while (a[i] < pivot) i++
                    while (a[j] > pivot) j--
                    if (i <= j) { swap = a[i]; a[i] = a[j]; a[j] = swap; i++; j-- }
                }
                if (j - low < high - i) { sort_numbers(a, low, j); low = i } else { sort_numbers(a, i, high); high = j }
            }
        }
        function of_quarter(machine, column, quarter, i, n, list) {
            for (i = 1; i <= rows[machine]; i++)
                if (int(4 * time[machine, i] / bound) == quarter) list[++n] = value[machine, i, column]
            return median(list, n)
        }
        # What is there at least in the last quarter above what was there at most in the second.
        function growth_of(machine, column, i, quarter, most, fewest) {
            fewest = -1
            for (i = 1; i <= rows[machine]; i++) {
                quarter = int(4 * time[machine, i] / bound)
                if (quarter == 1 && value[machine, i, column] > most) most = value[machine, i, column]
                if (quarter == 3 && (fewest < 0 || value[machine, i, column] < fewest)) fewest = value[machine, i, column]
            }
            return fewest > most ? fewest - most : 0
        }
        { m = $1; n = ++rows[m]; time[m, n] = $2; for (c = 3; c <= 5; c++) value[m, n, c] = $c }
        END {
            printf "%-8s %-12s %10s %10s %10s %10s\n", "machine", "", "1st quarter", "2nd", "3rd", "4th"
            names[3] = "own KiB"; names[4] = "descriptors"; names[5] = "threads"
            for (m in rows) {
                for (c = 3; c <= 5; c++) {
                    for (q = 0; q < 4; q++) median_of[q] = of_quarter(m, c, q)
                    printf "%-8s %-12s %10d %10d %10d %10d\n", m, names[c], median_of[0], median_of[1], median_of[2], median_of[3]
                    if (c == 3) rss_rise = median_of[3] - median_of[2]
                }
                if (growth_of(m, 4) > fds) fds = growth_of(m, 4)
                if (growth_of(m, 5) > threads) threads = growth_of(m, 5)
                n = 0
                step = rows[m] > 800 ? int(rows[m] / 400) : 1
                for (i = 1; i <= rows[m]; i += step) if (time[m, i] >= bound / 2)
                    for (j = i + step; j <= rows[m]; j += step) if (time[m, j] > time[m, i])
                        slopes[++n] = (value[m, j, 3] - value[m, i, 3]) / (time[m, j] - time[m, i]) * 3600 / 1024
                slope = median(slopes, n)
                if (first++ == 0 || slope > growth) growth = slope
                if (slope > 8 && rss_rise > 2048) bad = 1
            }
            printf "figure soak.rss_growth %.2f MiB/h\n", growth
            printf "figure soak.fd_growth %d count\n", fds
            printf "figure soak.thread_growth %d count\n", threads
            exit bad || fds > 0 || threads > 0
        }' "$logs/samples"
}
count() { cat "$logs"/console-* | grep -ac -- "$1" || true; }
for what in boot fio transfer stream rebind_disk rebind_net reset verify_error network_error; do printf '%-14s %d\n' "$what" "$(count "^SOAK $what")"; done
printf '%-14s %d\n' pause "$(wc -l <"$logs/pauses")"
printf '%-14s %s\n' sandbox "$(sort -u "$logs"/sandbox-* 2>/dev/null | xargs)"
errors=$(count '^SOAK verify_error')
table || { failed=1; say "a bound was passed"; }
echo "figure soak.verify_errors $errors errors"
[ "$errors" = 0 ] && [ "$(count '^SOAK network_error')" = 0 ] || failed=1
if [ "$failed" = 0 ]; then rm -rf "$logs"; else say "failed: seed $seed; $logs has the consoles, samples and what the host did"; fi
exit "$failed"
