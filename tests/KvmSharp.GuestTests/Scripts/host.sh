#!/bin/bash
# The host's side of the checks in guest.sh: makes images, taps and servers in a network namespace of its own, runs "$@" (the monitor) with
# what the check needs, and says what it finds afterwards as lines "KVMSHARP host.name=value".
#
#   host.sh CHECK MONITOR ARGUMENT...
set -u
say() { echo "KVMSHARP host.$*"; }
digest() { sha256sum | cut -d' ' -f1; }
if [ "${1:-}" != --inside ]; then exec unshare --net --mount -- "$BASH" "$0" --inside "$@"; fi
check=$2
shift 2
d=$(mktemp -d /tmp/virtio.XXXXXX)
monitor='' other='' mapped=()
finish() {
    for process in $monitor $other; do kill -9 "$process" 2>/dev/null; done
    kill $(jobs -p) 2>/dev/null
    umount "$d/dev" "$d/small" 2>/dev/null
    for name in "${mapped[@]}"; do unmap "$name"; done
    rm -rf "$d"
}
trap finish EXIT

image() { head -c "$2" /dev/urandom >"$d/$1.img"; }
taps() { # COUNT [tuntap flags]
    local i count=$1
    shift
    head -c 3M /dev/urandom >"$d/data"
    say "data=$(digest <"$d/data")"
    ip link set lo up
    for ((i = 0; i < count; i++)); do
        ip tuntap add "guest$i" mode tap vnet_hdr "$@" && ip address add "10.9.$i.1/24" dev "guest$i" && ip link set "guest$i" up
    done
    busybox httpd -f -p 8000 -h "$d" &
    # Gives back the digest of all it got.
    socat -t 60 TCP-LISTEN:8001,reuseaddr,fork SYSTEM:sha256sum &
    iperf3 -s >/dev/null 2>&1 &
}
vhost_device() { # absent|forbidden: in a /dev of our own
    mkdir "$d/dev"
    mount -t tmpfs none "$d/dev"
    cp -a /dev/kvm /dev/net /dev/null /dev/zero /dev/random /dev/urandom /dev/vhost-net "$d/dev"
    mount --bind "$d/dev" /dev
    if [ "$1" = absent ]; then rm /dev/vhost-net; else chmod 0 /dev/vhost-net; fi
    # Without these even root is bound by permission bits.
    unprivileged=(setpriv --bounding-set -dac_override,-dac_read_search)
}
start() { # in the background, its output kept and shown at the end
    "$@" >"$d/log" 2>&1 </dev/null &
    monitor=$!
}
saw() { # TEXT: waits until the monitor printed it
    local i
    for ((i = 0; i < 1500; i++)); do
        grep -qaF -- "$1" "$d/log" && return 0
        kill -0 "$monitor" 2>/dev/null || break
        sleep 0.1
    done
    echo "never printed: $1"
    return 1
}
listens() { # SOCKET...: waits until somebody does
    local path i
    for path in "$@"; do
        for ((i = 0; i < 300; i++)); do [ ! -S "$path" ] || continue 2; sleep 0.1; done
        echo "nobody listens on $path"
        return 1
    done
}
serve() { # NAME: another process serves the image of that name, behind a socket of that name
    rm -f "$d/$1.sock"
    qemu-storage-daemon --blockdev "driver=file,node-name=file,filename=$d/$1.img,locking=off" --blockdev driver=raw,node-name=disk,file=file,discard=unmap \
        --export "type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path=$d/$1.sock,writable=on" &
    server=$!
    listens "$d/$1.sock"
}
serve_all() { # our own process serves both images, behind the same sockets
    rm -f "$d"/[ab].sock "$d/control"
    "$program" serve blk --image "$d/a.img,id=a" --socket "$d/a.sock" --image "$d/b.img,id=b" --socket "$d/b.sock" --control "$d/control" &
    server=$!
    listens "$d/a.sock" "$d/b.sock" "$d/control"
}
inject() { # FAULT...: as strace takes them, in the running monitor's system calls
    local fault arguments=()
    for fault in "$@"; do arguments+=(-e "inject=$fault"); done
    strace -qq -f -p "$monitor" -o /dev/null -e "trace=$(IFS=,; echo "${*%%:*}")" "${arguments[@]}" &
    injector=$!
}
heal() { kill "$injector"; wait "$injector" 2>/dev/null; }
mapper() { dmsetup --noudevrules --noudevsync "$@"; } # nobody waits for udev, which a lab lacks
node_of() { echo "/dev/$(mapper info --columns --noheadings -o blkdevname "$prefix-$1")"; } # NAME: its node, the kernel's own
map() { # NAME TABLE...: a disk by the kernel's device mapper on the image of that name; LOOP in the table stands for that. Again: another table
    local name=$1 table
    shift
    [ -n "${loops[$name]:-}" ] || loops[$name]=$(losetup --find --show "$d/$name.img") || return
    table=$(printf '%s\n' "${@//LOOP/${loops[$name]}}")
    if [[ " ${mapped[*]} " = *" $name "* ]]; then
        mapper suspend "$prefix-$name" && mapper load "$prefix-$name" <<<"$table" && mapper resume "$prefix-$name"
    else
        mapped+=("$name")
        mapper create "$prefix-$name" <<<"$table"
    fi
}
unmap() { # NAME
    mapper remove --retry "$prefix-$1"
    losetup --detach "${loops[$1]}"
}
declare -A loops=()
prefix=kvmsharp-$$
switch_on() { # QUEUES CLIENT: DPDK carries packets between the socket $d/net.sock and a tap of its own, far0; 1: it connects there
    local i
    [ "$2" = 1 ] || rm -f "$d/net.sock"
    # Sums that the guest leaves unfinished are made by its "csum" engine.
    printf '%s\n' 'csum mac-swap off 0' 'csum mac-swap off 1' start >"$d/switch.cmd"
    # Ends with its input, which nobody writes to.
    [ -p "$d/switch.in" ] || mkfifo "$d/switch.in"
    exec 9<>"$d/switch.in"
    dpdk-testpmd --lcores 0@0,1@0 --no-huge -m 192 --no-pci --no-telemetry --file-prefix="${d##*/}" --vdev "net_vhost0,iface=$d/net.sock,queues=$1,client=$2" \
        --vdev net_tap0,iface=far0 -- --forward-mode=csum --total-num-mbufs=4096 --rxq="$1" --txq="$1" --cmdline-file="$d/switch.cmd" -i <&9 >"$d/switch.log" 2>&1 &
    server=$!
    for ((i = 0; i < 600; i++)); do
        ip address replace 10.9.0.1/24 dev far0 2>/dev/null && ip link set far0 up && [ -S "$d/net.sock" ] && return 0
        sleep 0.1
    done
    echo "dpdk-testpmd does not come up"
    cat "$d/switch.log"
    return 1
}
carry() { # our own process is the switch between $d/a.sock and $d/b.sock
    rm -f "$d"/[ab].sock
    "$program" serve net --port switch --socket "$d/a.sock" --port switch --socket "$d/b.sock" &
    server=$!
    listens "$d/a.sock" "$d/b.sock"
}
open_vswitch() { # FOLDER: Open vSwitch on DPDK is the switch: it connects to $d/a.sock and listens on $d/b
    local i set="$1/ovs-vsctl --db=unix:$d/db"
    export OVS_RUNDIR=$d OVS_LOGDIR=$d OVS_DBDIR=$d OVS_SYSCONFDIR=$d
    "$1/ovsdb-tool" create "$d/conf.db" "$1/vswitch.ovsschema"
    "$1/ovsdb-server" "$d/conf.db" --remote="punix:$d/db" --unixctl="$d/db.ctl" >>"$d/switch.log" 2>&1 &
    listens "$d/db" || return 1
    # Without huge pages; its thread sleeps a little when there is nothing to do, or guests would have no CPU.
    $set --no-wait -- init -- set Open_vSwitch . other_config:dpdk-init=true other_config:dpdk-lcore-mask=1 other_config:pmd-cpu-mask=1 other_config:pmd-maxsleep=100 \
        other_config:per-port-memory=true "other_config:dpdk-extra=--no-huge --legacy-mem -m 256 --no-pci --no-telemetry --file-prefix=${d##*/}"
    "$1/ovs-vswitchd-dpdk" "unix:$d/db" --unixctl="$d/switch.ctl" >>"$d/switch.log" 2>&1 &
    $set --timeout=60 -- add-br br0 -- set bridge br0 datapath_type=netdev -- add-port br0 a -- set Interface a type=dpdkvhostuserclient "options:vhost-server-path=$d/a.sock" \
        -- add-port br0 b -- set Interface b type=dpdkvhostuser
    listens "$d/b"
}
share() { # FOLDER: virtiofsd serves it behind $d/fs.sock
    local i
    rm -f "$d/fs.sock"
    "$(. "$KVMSHARP_REPO/scripts/lib/common.sh" && virtiofsd_path)" --socket-path="$d/fs.sock" -o "source=$1,sandbox=chroot,cache=auto" >>"$d/fs.log" 2>&1 &
    server=$!
    for ((i = 0; i < 300; i++)); do [ ! -S "$d/fs.sock" ] || return 0; sleep 0.1; done
    echo "virtiofsd does not listen"
    return 1
}
tree() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | digest); } # FOLDER: names and contents
through() { awk '/^[rw]char/ { print $2 }' "/proc/$1/io"; } # PID: bytes read and written by system calls
ended() { # the monitor's status
    local status=0
    wait "$monitor" || status=$?
    monitor=''
    cat "$d/log"
    return $status
}

# Words of these checks: "net:KEYS" adds to their interface, then "dev:absent" or "dev:forbidden" takes /dev/vhost-net from the monitor.
keys=''
case $check in net | e1000 | rebind | reboot | vhost)
    case $1 in net:*) keys=${1#net:}; shift ;; esac
    case $1 in dev:*) vhost_device "${1#dev:}"; shift ;; esac ;;
esac

status=0
case $check in
    disk)
        image a 32M
        image b 16M
        "$@" --disk "file=$d/a.img,queues=2,aio=io_uring" --disk "file=$d/b.img" || status=$?
        say "a.sha256=$(digest <"$d/a.img")"
        say "b.sha256=$(digest <"$d/b.img")"
        say "b.blocks=$(stat -c %b "$d/b.img")"
        e2fsck -fn "$d/a.img" >/dev/null 2>&1 && say fsck=clean || say fsck=dirty
        ;;
    served)
        # Word "qemu" or "ours" before the monitor: whose process serves, QEMU's a disk each.
        by=$1 program=$2
        shift
        image a 16M
        image b 16M
        if [ "$by" = ours ]; then serve_all; else serve b; second=$server; serve a; fi
        start "$@" --disk "vhost-user=$d/a.sock" --disk "vhost-user=$d/b.sock,packed=on"
        deaths=0
        saw KVMSHARP\ queues= || status=1
        while [ $deaths -lt 6 ] && sleep 1.5 && kill -0 "$monitor" 2>/dev/null && ! grep -qa ready=grow "$d/log"; do
            kill -9 "$server"
            sleep 0.3
            if [ "$by" = ours ]; then serve_all; else serve a; fi
            deaths=$((deaths + 1))
        done
        saw ready=grow || status=1
        truncate -s 32M "$d/b.img"
        if [ "$by" = ours ]; then
            echo '{"execute":"resized","arguments":{"id":"b"}}' | socat -t 10 - "UNIX-CONNECT:$d/control" >/dev/null
        else
            # QEMU 7.2's says nothing of a new size; the next one is asked.
            kill -9 "$second"
            serve b
        fi
        ended || status=$?
        say "deaths=$deaths"
        e2fsck -fn "$d/a.img" >/dev/null 2>&1 && say fsck=clean
        say "a.sha256=$(digest <"$d/a.img")"
        say "b.sha256=$(head -c 16M "$d/b.img" | digest)"
        say "b.end=$(tail -c 1M "$d/b.img" | digest)"
        ;;
    paired)
        # Word "ours" or "ovs:FOLDER" before the monitor: who carries packets between two guests. The other guest does for this one what we do elsewhere.
        carrier=$1 program=$2
        shift
        append=$(printf '%s\n' "$@" | grep -n -x -e --append | cut -d: -f1)
        command=("$@")
        command[append]="${command[append]} role=other"
        case $carrier in
            ours) carry; ends=("vhost-user=$d/a.sock" "vhost-user=$d/b.sock,packed=on") ;;
            ovs:*) open_vswitch "${carrier#ovs:}" || status=1; ends=("vhost-user=$d/a.sock,server=on" "vhost-user=$d/b,packed=on") ;;
        esac
        "${command[@]}" --net "${ends[0]},mac=52:54:00:09:00:01" >"$d/other.log" 2>&1 </dev/null &
        other=$!
        start "$@" --net "${ends[1]},mac=52:54:00:09:00:02"
        if [ "$carrier" = ours ]; then
            saw ready=lose || status=1
            kill -9 "$server"
            wait "$server" 2>/dev/null
            saw ready=return || status=1
            carry
        fi
        ended || status=$?
        for ((i = 0; i < 200; i++)); do kill -0 "$other" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$other" 2>/dev/null
        other=''
        sed 's/KVMSHARP /&other./' "$d/other.log"
        [ $status = 0 ] || tail -n 30 "$d"/switch.log 2>/dev/null
        ;;
    switched)
        # Words "queues:N", "net:KEYS" and "server" before the monitor.
        queues=1 client=0
        while :; do
            case $1 in queues:*) queues=${1#queues:} ;; net:*) keys=${1#net:} ;; server) client=1 ;; *) break ;; esac
            shift
        done
        head -c 3M /dev/urandom >"$d/data"
        say "data=$(digest <"$d/data")"
        ip link set lo up
        busybox httpd -f -p 8000 -h "$d" &
        socat -t 60 TCP-LISTEN:8001,reuseaddr,fork SYSTEM:sha256sum &
        iperf3 -s >/dev/null 2>&1 &
        if [ $client = 1 ]; then
            start "$@" --net "vhost-user=$d/net.sock,queues=$queues,server=on$keys"
            saw 'waiting for a vhost-user back end' || status=1
            switch_on "$queues" 1 || status=1
        else
            switch_on "$queues" 0 || status=1
            start "$@" --net "vhost-user=$d/net.sock,queues=$queues$keys"
        fi
        saw ready=lose || status=1
        kill -9 "$server"
        wait "$server" 2>/dev/null
        saw ready=return || status=1
        switch_on "$queues" "$client" || status=1
        ended || status=$?
        ;;
    shared)
        mkdir -p "$d/tree/from-host"
        cp -r /usr/share/common-licenses /usr/share/misc "$d/tree/from-host/" 2>/dev/null
        head -c 8M /dev/urandom >"$d/tree/from-host/data"
        say "tree.host=$(tree "$d/tree/from-host")"
        share "$d/tree" || status=1
        start "$@" --fs "tag=shared,vhost-user=$d/fs.sock"
        saw ready=compare || status=1
        say "tree.guest=$(tree "$d/tree/from-guest")"
        saw ready=lose || status=1
        kill -9 "$server"
        sleep 0.3
        share "$d/tree" || status=1
        ended || status=$?
        ;;
    ide)
        image a 32M
        image b 16M
        image c 8M
        "$@" --disk "file=$d/a.img,model=ide,serial=a" --disk "file=$d/b.img,model=ide,serial=b" --disk "file=$d/c.img,model=ide,serial=c,readonly=on" || status=$?
        for name in a b c; do say "$name.sha256=$(digest <"$d/$name.img")"; done
        ;;
    net)
        taps 1 multi_queue
        "$@" --net "guest0,queues=2$keys" || status=$?
        ;;
    vhost)
        # What the program read and wrote itself, and the kernel's threads that serve it, from one moment to another.
        taps 1 multi_queue
        start ${unprivileged[@]+"${unprivileged[@]}"} "$@" --net "guest0,queues=2$keys"
        saw KVMSHARP\ ready=traffic || status=1
        before=($(through "$monitor"))
        saw KVMSHARP\ ready=count || status=1
        after=($(through "$monitor"))
        say "threads=$(cat /proc/"$monitor"/task/*/comm /proc/[0-9]*/comm | grep -c '^vhost-[0-9]')"
        say "read_kib=$(((after[0] - before[0]) / 1024))"
        say "written_kib=$(((after[1] - before[1]) / 1024))"
        touch "$d/counted"
        ended || status=$?
        ;;
    e1000)
        taps 1
        ip link set guest0 mtu 9000
        ip link add link guest0 name tagged type vlan id 5 && ip address add 10.9.5.1/24 dev tagged && ip link set tagged up
        start "$@" --net "guest0,model=e1000$keys"
        saw ready=down && ip link set guest0 down
        saw ready=up && ip link set guest0 up
        ended || status=$?
        ;;
    features)
        # Words "disk:KEYS" and "net:KEYS" up to "--" are devices.
        disks=0 nets=0 devices=()
        while [ "$1" != -- ]; do
            case $1 in
                disk:*) image "disk$disks" 4M; devices+=(--disk "file=$d/disk$disks.img${1#disk:}"); disks=$((disks + 1)) ;;
                net:*) devices+=(--net "guest$nets${1#net:}"); nets=$((nets + 1)) ;;
            esac
            shift
        done
        shift
        taps $nets multi_queue
        "$@" "${devices[@]}" || status=$?
        ;;
    rebind | reboot)
        image a 32M
        say "head=$(head -c 1M "$d/a.img" | digest)"
        taps 1
        "$@" --disk "file=$d/a.img" --net "guest0$keys" --rng || status=$?
        ;;
    flush)
        image a 32M
        image b 32M
        append=$(printf '%s\n' "$@" | grep -n -x -e --append | cut -d: -f1)
        start "$@" --disk "file=$d/a.img" --disk "file=$d/b.img"
        saw KVMSHARP\ flushed=12 || status=1
        kill -9 "$monitor"
        wait "$monitor" 2>/dev/null
        cat "$d/log"
        last=$(grep -ao 'flushed=[0-9]*' "$d/log" | tail -n 1 | cut -d= -f2)
        say "flushed=$last"
        missing=0
        for ((number = 0; number <= last; number++)); do
            yes "block $number of the image" | head -c 65536 | cmp -s - <(tail -c +$((number * 65536 + 1)) "$d/a.img" | head -c 65536) || missing=$((missing + 1))
        done
        say "missing=$missing"
        # At once: the image must not be locked any more.
        again=("$@")
        again[append]="${again[append]/check=flush/check=flushed} until=$last"
        "${again[@]}" --disk "file=$d/a.img" --disk "file=$d/b.img" || status=$?
        ;;
    sandbox)
        # Twice in the guest: what is looked at was made after its reset. Threads of the kernel in the program (vhost) are not ours.
        keys=$1
        shift
        image a 4M
        taps 1
        start "$@" --disk "file=$d/a.img" --net "guest0$keys" --serial stdio --serial "unix:$d/com2" --pidfile "$d/pid"
        for ((i = 0; i < 1200 && $(grep -ca KVMSHARP-GUEST-READY "$d/log") < 2; i++)); do sleep 0.1; done
        kill -USR1 "$monitor" # paused: it makes and ends no threads while they are looked at
        sleep 1
        threads=0 confined=0 own=""
        for task in /proc/"$monitor"/task/*; do
            case $(cat "$task/comm") in vhost-* | kvm-* | iou-*) continue ;; esac
            threads=$((threads + 1))
            if awk '/^[UG]id:/ && ($2 != 65534 || $3 != 65534 || $4 != 65534 || $5 != 65534) || /^Groups:/ && NF > 1 || /^Cap/ && $2 !~ /^0+$/ || /^NoNewPrivs:/ && $2 != 1 ||
                /^Seccomp:/ && $2 != 2 { bad = 1 } END { exit bad }' "$task/status" && [ -z "$(ls -A "$task/root")" ]; then confined=$((confined + 1)); else grep . "$task/comm" "$task/status"; fi
        done
        for name in mnt net ipc uts; do [ "$(readlink "/proc/$monitor/ns/$name")" = "$(readlink "/proc/self/ns/$name")" ] || own="$own${own:+ }$name"; done
        say "threads=$threads"
        say "confined=$confined"
        say "own=$own"
        say "root=$(ls -A "/proc/$monitor/root" | wc -l)"
        kill -USR2 "$monitor"
        kill "$monitor"; sleep 0.2; kill "$monitor"
        ended || status=$?
        say "left=$(cd "$d" && echo *)"
        ;;
    changes)
        image a 16M
        taps 1
        start "$@" --disk "file=$d/a.img" --net guest0
        saw ready=grow && truncate -s 32M "$d/a.img"
        saw ready=shrink && truncate -s 8M "$d/a.img"
        saw ready=unplug && ip link del guest0
        ended || status=$?
        ;;
    mapper)
        # In sectors of 512 bytes. What is bad of disk a stays bad; b and c turn bad and good again.
        image a 32M
        image b 16M
        image c 16M
        map a "0 32768 linear LOOP 0" "32768 8192 error" "40960 24576 linear LOOP 40960" || status=1
        map b "0 32768 linear LOOP 0" || status=1
        map c "0 32768 linear LOOP 0" || status=1
        start "$@" --disk "file=$(node_of a),aio=io_uring,cache=none" --disk "file=$(node_of b),aio=threads,cache=none" --disk "file=$(node_of c)"
        saw ready=dead && map b "0 32768 flakey LOOP 0 0 60"
        saw ready=half && map b "0 32768 flakey LOOP 0 0 60 1 error_writes"
        saw ready=whole && map b "0 32768 flakey LOOP 0 60 0"
        saw ready=unstable && map c "0 32768 flakey LOOP 0 0 60 1 error_writes"
        saw ready=stable && map c "0 32768 linear LOOP 0"
        ended || status=$?
        for name in "${mapped[@]}"; do unmap "$name" || status=1; done
        mapped=()
        say "a.head=$(head -c 16M "$d/a.img" | digest)"
        say "a.tail=$(tail -c 12M "$d/a.img" | digest)"
        say "b.sha256=$(digest <"$d/b.img")"
        ;;
    faults)
        mkdir "$d/small"
        mount -t tmpfs -o size=20M none "$d/small"
        truncate -s 32M "$d/small/a.img"
        image b 16M
        taps 1
        # A host's clock is not ours to turn, the lab's is.
        append=$(printf '%s\n' "$@" | grep -n -x -e --append | cut -d: -f1)
        command=("$@")
        [ "${KVMSHARP_IN_LAB:-0}" = 0 ] || command[append]="${command[append]} clock=1"
        start "${command[@]}" --disk "file=$d/small/a.img,aio=io_uring" --disk "file=$d/b.img,aio=threads" --net guest0
        saw ready=room && mount -o remount,size=64M "$d/small"
        saw ready=failing && inject 'pwritev2,pwritev:error=EIO:when=1+3'
        saw ready=healed && heal
        saw ready=interrupted && inject 'preadv2,pwritev2,readv,writev,epoll_wait:error=EINTR:when=1+2' 'io_uring_enter:error=EAGAIN:when=1+3'
        saw ready=whole && heal
        saw ready=descriptors && prlimit --pid "$monitor" --nofile=3:4096
        saw ready=more && prlimit --pid "$monitor" --nofile=1024:4096
        saw ready=sleep && kill -STOP "$monitor" && sleep 5 && kill -CONT "$monitor"
        if [ "${KVMSHARP_IN_LAB:-0}" = 1 ]; then
            saw ready=clock && date -s '+400 days' >/dev/null
            saw ready=clock-back && date -s '-400 days' >/dev/null
        fi
        saw ready=cut && truncate -s $((8 * 1048576 + 1000)) "$d/b.img"
        ended || status=$?
        # None left for the machine that a reset builds. The guest resets as soon as it is up.
        again=()
        for word in "$@"; do [ "$word" = --no-reboot ] || again+=("${word/check=faults/}"); done
        again[append]="${again[append]/test=script/test=reboot}"
        start "${again[@]}"
        saw KVMSHARP-GUEST-READY && prlimit --pid "$monitor" --nofile=12:4096
        ended
        say "reset_status=$?"
        say "reset_said=$(grep -c '^kvmsharp: cannot restart the guest after its reset: .*: Too many open files' "$d/log")"
        # Too few descriptors to start with: never more than a line and a hint, and one of the statuses that say so.
        truncate -s 8M "$d/b.img"
        refused=0 allowed=0 wrong=0
        for ((limit = 4; limit < 44; limit += 3)); do
            said=$(ulimit -n $limit && timeout 60 "${command[@]}" --disk "file=$d/b.img,aio=io_uring" --net guest0 --dry-run 2>&1 >/dev/null)
            case $? in
                0) allowed=$((allowed + 1)) ;;
                2 | 4 | 8) refused=$((refused + 1)); [ "$(grep -c '^kvmsharp: ' <<<"$said")" -le 2 ] && [ "$(wc -l <<<"$said")" -le 2 ] || { wrong=$((wrong + 1)); echo "$limit: $said"; } ;;
                *) wrong=$((wrong + 1)); echo "$limit: $said" ;;
            esac
        done
        say "descriptors_refused=$refused"
        say "descriptors_allowed=$allowed"
        say "descriptors_wrong=$wrong"
        umount "$d/small"
        ;;
esac
exit $status
