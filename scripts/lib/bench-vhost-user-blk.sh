# Sourced by bench-vhost-user.sh: disks behind vhost-user sockets.
# shellcheck shell=bash

blk_folder='' blk_server=''
blk_stop() {
    [ -z "$blk_server" ] || { kill "$blk_server" 2>/dev/null; wait "$blk_server" 2>/dev/null || true; }
    blk_server=''
}
blk_cleanup() { blk_stop; [ -z "$blk_folder" ] || rm -rf "$blk_folder"; blk_folder=''; }
trap 'blk_cleanup; stop_bench_lab; drop_samples' EXIT

# Scratch space in memory, with an image of random data.
blk_prepare() { # BYTES
    blk_folder=$(mktemp -d /dev/shm/kvmsharp-bench.XXXXXX)
    head -c "$1" /dev/urandom >"$blk_folder/image"
}

# Returns once the server listens there.
blk_await() { # SOCKET SERVER
    local i
    for ((i = 0; i < 100; i++)); do [ ! -S "$1" ] || return 0; sleep 0.1; done
    die "$2 does not listen"
}

# One server on the image, listening; each has one thread for I/O, with the polling that it has by default.
blk_serve() { # kvmsharp|qemu
    rm -f "$blk_folder/sock"
    if [ "$1" = kvmsharp ]; then
        "$kvmsharp" serve blk --image "$blk_folder/image" --socket "$blk_folder/sock" &
    else
        qemu-storage-daemon --object iothread,id=io0 --blockdev "driver=file,node-name=file,filename=$blk_folder/image" \
            --export "type=vhost-user-blk,id=e,node-name=file,iothread=io0,addr.type=unix,addr.path=$blk_folder/sock,writable=on" &
    fi
    blk_server=$!
    blk_await "$blk_folder/sock" "$1"
}

bench_blk() {
    local round vmm job
    blk_prepare 256M
    for ((round = 0; round < rounds; round++)); do
        for vmm in kvmsharp qemu; do
            blk_serve "$vmm"
            for job in randread:1 randread:32 randwrite:1 randwrite:32; do
                "$kvmsharp" bench vhost-user --socket "$blk_folder/sock" --op "${job%:*}" --depth "${job#*:}" --seconds "$seconds" >"$samples/line"
                add_sample "$vmm.${job%:*}4k.qd${job#*:}" "$(awk '{ print $2 }' "$samples/line")"
            done
            blk_stop
        done
    done
    printf '%-18s %12s %12s %8s\n' "disk (IOPS)" kvmsharp qemu ratio
    for job in randread4k.qd1 randread4k.qd32 randwrite4k.qd1 randwrite4k.qd32; do
        printf '%-18s %12s %12s %8s\n' "$job" "$(median_of "kvmsharp.$job")" "$(median_of "qemu.$job")" "$(ratio "$(median_of "kvmsharp.$job")" "$(median_of "qemu.$job")")"
    done
    for job in randread4k.qd1 randread4k.qd32 randwrite4k.qd1 randwrite4k.qd32; do
        echo "figure vhostuser.blk.$job.ratio $(ratio "$(median_of "kvmsharp.$job")" "$(median_of "qemu.$job")") x"
    done
    blk_cleanup
}
