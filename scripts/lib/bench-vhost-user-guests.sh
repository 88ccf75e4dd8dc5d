# Sourced by bench-vhost-user.sh: many guests behind one process. Needs bench-vhost-user-blk.sh. Both I/O threads have CPU 0 and who stands for the guests has CPU 1:
# three busy threads on two CPUs get shares of them that say nothing of the back end.
# shellcheck shell=bash

guests=64

# `kvmsharp serve blk` with two I/O threads and this many disks, all of one image.
guests_serve() { # NUMBER
    local i arguments=()
    guest_sockets=()
    for ((i = 0; i < $1; i++)); do
        arguments+=(--image "$blk_folder/image,readonly=on,queues=1" --socket "$blk_folder/$i.sock")
        guest_sockets+=(--socket "$blk_folder/$i.sock")
    done
    taskset --cpu-list 0 "$kvmsharp" serve blk --iothreads 2 "${arguments[@]}" &
    blk_server=$!
    blk_await "$blk_folder/$(($1 - 1)).sock" kvmsharp
}

# A driver on each disk, for so long.
guests_load() { # SECONDS
    taskset --cpu-list 1 "$kvmsharp" bench vhost-user "${guest_sockets[@]}" --depth 8 --seconds "$1"
}

# The server's own memory, in KiB, with a driver on each disk that has loaded it for a while. What it sees of the guests' memory is not its own.
guests_memory() { # NUMBER
    local load memory i
    guests_serve "$1"
    guests_load 4 >/dev/null &
    load=$!
    # A socket that listens and one that is connected, for each.
    for ((i = 0; i < 100; i++)); do
        [ "$(grep -cF "$blk_folder/" /proc/net/unix)" -lt $((2 * $1)) ] || break
        sleep 0.1
    done
    sleep 2
    memory=$(awk '$1 == "RssAnon:" { print $2 }' "/proc/$blk_server/status")
    wait "$load"
    blk_stop
    echo "$memory"
}

bench_guests() {
    local round total low high one many
    blk_prepare 64M
    for ((round = 0; round < rounds; round++)); do
        guests_serve "$guests"
        guests_load "$((2 * seconds))" >"$samples/line"
        blk_stop
        # randread4k.qd8 TOTAL IOPS, N disks from LOW to HIGH
        read -r total low high < <(awk '{ print $2, $7, $9 }' "$samples/line")
        add_sample guests.iops "$total"
        add_sample guests.spread "$(awk -v total="$total" -v low="$low" -v high="$high" -v n="$guests" 'BEGIN { printf "%.1f", 100 * (high - low) / (total / n) }')"
    done
    one=$(guests_memory 1)
    many=$(guests_memory "$guests")
    echo "$guests guests on two I/O threads: $(median_of guests.iops) requests/s in all, $(median_of guests.spread) % of a guest's share between the slowest and the fastest"
    echo "figure vhostuser.guests.iops $(median_of guests.iops) IOPS"
    echo "figure vhostuser.guests.spread $(median_of guests.spread) %"
    echo "figure vhostuser.guests.memory $(((many - one) / (guests - 1))) KiB"
    blk_cleanup
}
