# Sourced by the benchmarks: medians, the lab they run in, samples by name.
# shellcheck shell=bash

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# One lab for a group of measurements, or none on a host with KVM. in_lab COMMAND... runs a command as root where guests run.
bench_lab=''
start_bench_lab() { # NAME [LAB OPTION...]
    has_hardware_kvm && return
    bench_lab=$1-$$
    bench_lab_options=("${@:2}")
    "$repo/scripts/lab.sh" --keep "$bench_lab" --owner $$ ${bench_lab_options[@]+"${bench_lab_options[@]}"} >&2
}
stop_bench_lab() { [ -z "$bench_lab" ] || "$repo/scripts/lab.sh" --stop "$bench_lab"; }
restart_bench_lab() {
    [ -n "$bench_lab" ] || return 0
    stop_bench_lab
    "$repo/scripts/lab.sh" --keep "$bench_lab" --owner $$ ${bench_lab_options[@]+"${bench_lab_options[@]}"} >&2
}
in_lab() { # [--timeout SECONDS] [--env NAME=VALUE] -- COMMAND...
    "$repo/scripts/lab.sh" ${bench_lab:+--in "$bench_lab"} "$@"
}

# Samples of one run of the benchmark: add_sample NAME VALUE, median_of NAME (empty when there are none).
start_samples() { samples=$(mktemp -d "${TMPDIR:-/tmp}/kvmsharp-bench.XXXXXX"); }
add_sample() { echo "$2" >>"$samples/$1"; }
median_of() { [ ! -s "$samples/$1" ] || median <"$samples/$1"; }
