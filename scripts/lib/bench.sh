# Sourced by the benchmarks: medians, the lab they run in, samples by name.
# shellcheck shell=bash

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# One lab for a group of measurements, or none on a host with KVM. in_lab COMMAND... runs a command as root where guests run.
# It ends with the script, whatever ends that, and so do the samples.
bench_lab='' samples=''
start_bench_lab() { # NAME [LAB OPTION...]
    has_hardware_kvm && return
    bench_lab=$1-$$
    bench_lab_options=("${@:2}")
    "$repo/scripts/lab.sh" --keep "$bench_lab" --owner $$ ${bench_lab_options[@]+"${bench_lab_options[@]}"} >&2
}
stop_bench_lab() {
    [ -z "$bench_lab" ] || "$repo/scripts/lab.sh" --stop "$bench_lab"
    bench_lab=''
}
restart_bench_lab() {
    local lab=$bench_lab
    [ -n "$lab" ] || return 0
    stop_bench_lab
    start_bench_lab "${lab%-*}" ${bench_lab_options[@]+"${bench_lab_options[@]}"}
}
in_lab() { # [--timeout SECONDS] [--env NAME=VALUE] -- COMMAND...
    "$repo/scripts/lab.sh" ${bench_lab:+--in "$bench_lab"} "$@"
}

# Samples of one run of the benchmark: add_sample NAME VALUE, median_of NAME (empty when there are none).
start_samples() { drop_samples; samples=$(mktemp -d "${TMPDIR:-/tmp}/kvmsharp-bench.XXXXXX"); }
drop_samples() { [ -z "$samples" ] || rm -rf "$samples"; }
add_sample() { echo "$2" >>"$samples/$1"; }
median_of() { [ ! -s "$samples/$1" ] || median <"$samples/$1"; }
trap 'stop_bench_lab; drop_samples' EXIT

# The start of a VMM's command line with the guest of the I/O benchmarks, into `command`; what follows adds the device.
bench_command() { # VMM INITRD VCPUS OPTIONS-FOR-THE-GUEST
    local append="console=ttyS0 quiet init_on_alloc=0 mitigations=off panic=-1 kvmsharp.test=script $4"
    if [ "$1" = kvmsharp ]; then
        command=("$kvmsharp" run --kernel "$kernel" --initrd "$2" --memory 768M --cpus "$3" --no-reboot --serial stdio --stats --append "$append")
    else
        command=(qemu-system-x86_64 -M pc -accel kvm -cpu host -m 768M -smp "$3" -nodefaults -no-user-config -nographic -no-reboot -serial stdio
            -kernel "$kernel" -initrd "$2" -append "$append")
    fi
}

# One guest from start to the end of its script; its lines are in $samples/log, the VMM's in $samples/errors. A guest that does not get
# there, or whose lines GROUP_complete refuses, runs again in a fresh lab, which GROUP_prepare makes ready; 1 when that happens three times.
bench_lost=0
run_bench_guest() { # GROUP VMM COMMAND...
    local group=$1 vmm=$2 attempt status
    shift 2
    for attempt in 1 2 3; do
        status=0
        in_lab --timeout 120 -- "$@" </dev/null 2>"$samples/errors" | tr -d '\r' >"$samples/log" || status=$?
        if [ "$status" = 0 ] && grep -q '^KVMSHARP script_status=0' "$samples/log" && "${group}_complete"; then return; fi
        bench_lost=$((bench_lost + 1))
        say "$group: $vmm: the guest vanished (attempt $attempt, status $status): $(last_words)"
        restart_bench_lab
        "${group}_prepare"
    done
    say "$group: $vmm does not get through: no sample of it in this round"
    return 1
}
# What a lost guest said: its kernel's first complaints if it had any, else the last lines.
last_words() {
    local complaints='BUG:|Oops|general protection|RIP: 0010|Kernel panic|soft lockup|stall'
    (grep -m 6 -E "$complaints" "$samples/log" || tail -qn 1 "$samples/log" "$samples/errors") | tr '\n' ' '
}
report_lost() { # GROUP
    [ "$bench_lost" = 0 ] || say "$1: $bench_lost guests vanished and ran again"
}

# Exits of the device `bench` to the VMM in steady state: what 20,000 more operations add to its counter. RUN N runs N of them.
measure_exits() { # FIGURE RUN
    local operations
    for operations in 1000 21000; do
        "$2" "$operations" || die "$1: no guest got through"
        awk '$2 == "device" && $3 == "bench" { count += $4; seen = 1 } END { if (!seen) exit 1; print count }' "$samples/errors" >"$samples/exits.$operations" ||
            die "$1: no counter of the device"
    done
    awk -v figure="$1" 'NR == 1 { few = $1 } NR == 2 { printf "figure %s %.4f exits\n", figure, ($1 - few) / 20000 }' "$samples/exits.1000" "$samples/exits.21000"
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# A table of medians, a row a sample, KvmSharp beside its peers. compare_row leaves the ratio to the best of them in $samples/figures.
compare_head() { # TITLE PEER...
    printf '%-18s %12s' "$1" kvmsharp
    printf ' %14s' "${@:2}"
    printf '\n'
}
compare_row() { # SAMPLE FIGURE PEER...
    local ours peer value best=0
    ours=$(median_of "kvmsharp.$1")
    [ -n "$ours" ] || die "$1: no sample of kvmsharp"
    printf '%-18s %12.0f' "$1" "$ours"
    for peer in "${@:3}"; do
        value=$(median_of "$peer.$1")
        printf ' %14.0f' "$value"
        best=$(awk -v a="$best" -v b="$value" 'BEGIN { print (a > b ? a : b) }')
    done
    printf '\n'
    echo "figure $2.ratio $(ratio "$ours" "$best") x" >>"$samples/figures"
}
