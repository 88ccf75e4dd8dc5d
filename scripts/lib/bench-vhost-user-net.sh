# Sourced by bench-vhost-user.sh: networks behind vhost-user sockets. DPDK's testpmd drives (net_virtio_user, transmit only) from CPU 1 what a back end that
# polls on CPU 0 takes and drops: a null port of ours, or testpmd with DPDK's vhost library (net_vhost, receive only).
# shellcheck shell=bash

net_folder='' net_server='' net_driver='' net_words=''
net_stop() {
    local pid
    [ -z "$net_words" ] || exec {net_words}>&-
    for pid in $net_driver $net_server; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    net_driver='' net_server='' net_words=''
}
net_cleanup() { net_stop; [ -z "$net_folder" ] || rm -rf "$net_folder"; net_folder=''; }
trap 'net_cleanup; ! declare -F blk_cleanup >/dev/null || blk_cleanup; stop_bench_lab; drop_samples' EXIT

net_wait() { # TEST...: until it is true
    local i
    for ((i = 0; i < 300; i++)); do ! "$@" || return 0; sleep 0.1; done
    die "net: waited for nothing: $*"
}

# A back end, listening. CPU 0 is that of all its threads.
net_serve() { # kvmsharp|idle|dpdk
    rm -f "$net_folder/sock"
    case $1 in
        kvmsharp) taskset -c 0 "$kvmsharp" serve net --poll --port null --socket "$net_folder/sock" & ;;
        idle) "$kvmsharp" serve net --port null --socket "$net_folder/sock" & ;;
        dpdk) dpdk-testpmd --lcores 0@0,1@0 --no-huge -m 512 --no-pci --file-prefix="kvmsharp-vh$$" --vdev "net_vhost0,iface=$net_folder/sock,queues=1,client=0" \
            -- --forward-mode=rxonly --total-num-mbufs=16384 --auto-start --stats-period 100 </dev/null >"$net_folder/server" 2>&1 & ;;
    esac
    net_server=$!
    net_wait test -S "$net_folder/sock"
}

# A driver that sends; it listens to what is written to net_words.
net_drive() { # BYTES DEVICE-OPTIONS
    : >"$net_folder/driver"
    rm -f "$net_folder/words"
    mkfifo "$net_folder/words"
    stdbuf -oL dpdk-testpmd --lcores 0@1,1@1 --no-huge -m 512 --no-pci --file-prefix="kvmsharp-vu$$" --vdev "net_virtio_user0,path=$net_folder/sock,queues=1,$2" \
        -- -i --forward-mode=txonly --txpkts="$1" --total-num-mbufs=16384 --auto-start <"$net_folder/words" >>"$net_folder/driver" 2>&1 &
    net_driver=$!
    exec {net_words}>"$net_folder/words"
    net_wait grep -q 'packets/burst' "$net_folder/driver"
}

# Frames a second that the back end has taken.
net_rate() {
    sleep 1
    echo 'clear port stats all' >&"$net_words"
    sleep "$seconds"
    echo 'show port stats all' >&"$net_words"
    net_wait grep -q 'TX-packets:' "$net_folder/driver"
    awk -v seconds="$seconds" '/TX-packets:/ { print $2 / seconds; exit }' "$net_folder/driver"
}

# Frames that the driver has sent so far.
net_frames() {
    : >"$net_folder/driver"
    echo 'show port stats all' >&"$net_words"
    net_wait grep -q 'TX-packets:' "$net_folder/driver"
    awk '/TX-packets:/ { print $2; exit }' "$net_folder/driver"
}

net_cpu() { awk '{ print $14 + $15 }' "/proc/$net_server/stat"; } # ticks

bench_net() {
    local round side row before frames
    local rows=(64.split:64:packed_vq=0 64.packed:64:packed_vq=1 1518.split:1518:packed_vq=0)
    net_folder=$(mktemp -d "${TMPDIR:-/tmp}/kvmsharp-bench.XXXXXX")
    command -v dpdk-testpmd >/dev/null || die "dpdk-testpmd is missing: scripts/install-deps.sh installs it"
    for ((round = 0; round < rounds; round++)); do
        for row in "${rows[@]}"; do
            for side in kvmsharp dpdk; do
                net_serve "$side"
                net_drive "$(cut -d: -f2 <<<"$row")" "${row##*:}"
                add_sample "$side.net.${row%%:*}" "$(net_rate)"
                net_stop
            done
        done
    done
    compare_head 'net (frames/s)' dpdk
    rm -f "$samples/figures"
    for row in "${rows[@]}"; do compare_row "net.${row%%:*}" "vhostuser.net.${row%%:*}" dpdk; done
    cat "$samples/figures"

    # CPU time of the whole process for a frame: ours wakes up for them, DPDK's polls.
    for ((round = 0; round < rounds; round++)); do
        for side in idle dpdk; do
            net_serve "$side"
            net_drive 64 packed_vq=1
            before=$(net_cpu) frames=$(net_frames)
            sleep "$seconds"
            add_sample "$side.cpu" "$(awk -v ticks=$(($(net_cpu) - before)) -v hz="$(getconf CLK_TCK)" -v frames=$(($(net_frames) - frames)) 'BEGIN { printf "%.1f", 1e9 * ticks / hz / frames }')"
            net_stop
        done
    done
    echo "CPU time of a frame of 64 bytes, packed: kvmsharp $(median_of idle.cpu) ns, dpdk $(median_of dpdk.cpu) ns"
    echo "figure vhostuser.net.64.packed.cpu $(median_of idle.cpu) ns"

    # A connected driver that sends nothing.
    net_serve idle
    net_drive 64 packed_vq=0
    echo stop >&"$net_words"
    sleep 1
    before=$(net_cpu)
    sleep 5
    echo "figure vhostuser.idle_cpu $(awk -v ticks=$(($(net_cpu) - before)) -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f", 100 * ticks / hz / 5 }') %"
    net_cleanup
}
