# Runs in a guest as its /script (scripts/lib/guest-init, kvmsharp.test=script) with the tools of scripts/lib/guest-tools.sh.
# check=NAME on the kernel command line says which of the functions below; every result is a line "KVMSHARP name=value".
# Interface ethN has address 10.9.N.2/24 and the host 10.9.N.1, where host.sh serves.

say() { echo "KVMSHARP $*"; }
option() { # NAME DEFAULT
    local line value
    read -r line </proc/cmdline
    value=${line#* "$1="}
    if [ "$value" = "$line" ]; then echo "$2"; else echo "${value%% *}"; fi
}
digest() { sha256sum | cut -d' ' -f1; }
result() { # NAME COMMAND...: ok, or failed and what the command said
    local name=$1
    shift
    if "$@" >/tmp/result 2>&1; then say "$name=ok"; else say "$name=failed"; tail -n 20 /tmp/result; fi
}
wait_until() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}
# The kernel's log. An emulated CPU now and then traps on a single step (DR6.BS) that nobody asked for, and the kernel warns of the first one:
# that warning is left out there, and shown by itself.
kernel_log() { # [DMESG OPTION...]
    if ! grep -q '^model name.*QEMU TCG' /proc/cpuinfo; then
        dmesg "$@"
        return
    fi
    : >/tmp/stray
    dmesg "$@" | awk '
        # What was begun and has no end is shown like any other line.
        /-\[ cut here \]-/ { printf "%s", block; block = ""; within = 1 }
        !within { print; next }
        { block = block $0 "\n" }
        /-\[ end trace/ {
            if (block ~ /WARNING: [^\n]* exc_debug_kernel\+/) printf "%s", block >"/tmp/stray"
            else printf "%s", block
            block = ""
            within = 0
        }
        END { printf "%s", block }'
    sed 's/^/KVMSHARP stray step: /' /tmp/stray >&2
}
errors_in() { # NAME PATTERN: what a log on stdin holds against our devices
    grep -iE "$2|Call Trace|WARNING: CPU|BUG:|nobody cared" >/tmp/errors
    say "$1=$(wc -l </tmp/errors)"
    sed 's/^/KVMSHARP dmesg: /' /tmp/errors
}
errors() { # [PATTERN|]
    kernel_log | errors_in errors "${1:-}"'virtio.*(error|fail|broken|unexpected)|hung task|NETDEV WATCHDOG|blocked for more'
}

# Writes with checksums in every block, from two jobs with many requests in flight, and reads them back.
verified_io() { # FILE MIB BLOCK_SIZE [FIO_OPTION...]
    local file=$1 half=$(($2 / 2)) size=$3
    shift 3
    fio --name=verified --filename="$file" --rw=randwrite --bs="$size" --size="${half}M" --offset_increment="${half}M" --numjobs=2 --thread \
        --ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1 "$@"
}

interface_up() { # NUMBER
    ip address replace "10.9.$1.2/24" dev "eth$1" && ip link set "eth$1" up && wait_until 20 carrier "$1" 1
}
carrier() { [ "$(cat "/sys/class/net/eth$1/carrier" 2>/dev/null)" = "$2" ]; }
reachable() { ping -n -q -c 3 -i 0.05 -W 10 "10.9.$1.1"; }
transfer() { # NUMBER LABEL: the host's data arrives here and there
    rm -f /tmp/data
    wget -q -O /tmp/data "http://10.9.$1.1:8000/data"
    say "$2.received=$(digest </tmp/data)"
    say "$2.sent=$(nc "10.9.$1.1" 8001 </tmp/data | cut -d' ' -f1)"
}

features_of() { # NAME VIRTIO_DEVICE: negotiated features, one digit per bit from bit 0, and the number of MSI-X vectors in use
    local device
    device=$(readlink -f "$2")
    say "$1.features=$(cat "$device/features")"
    say "$1.vectors=$(ls "$device/../msi_irqs" 2>/dev/null | wc -l)"
}

check_disk() { # vda: any data. vdb: discards
    local mib=$(($(cat /sys/block/vda/size) / 2048))
    say "queues=$(ls /sys/block/vda/mq | wc -l)"
    result raw verified_io /dev/vda "$mib" 4k --io_size=6M
    result large verified_io /dev/vda "$mib" 256k --io_size=8M
    result format mkfs.ext4 -q -F /dev/vda
    mount /dev/vda /mnt
    result files verified_io /mnt/file 6 8k
    result buffered verified_io /mnt/other 4 16k --direct=0 --end_fsync=1
    umount /mnt
    result check e2fsck -fn /dev/vda
    say "vda.sha256=$(digest </dev/vda)"

    dd if=/dev/urandom of=/dev/vdb bs=1M count=16 oflag=direct 2>/dev/null
    result discard blkdiscard --offset 4M --length 8M /dev/vdb
    result zeroes blkdiscard --zeroout --offset 13M --length 1M /dev/vdb
    echo 3 >/proc/sys/vm/drop_caches
    say "zeroed=$(dd if=/dev/vdb bs=1M skip=13 count=1 2>/dev/null | tr -d -c '\0' | wc -c)"
    say "vdb.sha256=$(digest </dev/vdb)"
    errors 'I/O error|'
}

check_served() { # by other processes that die again and again; at the end one makes vdb larger
    check_disk
    say ready=grow
    result grown wait_until 60 sectors vdb 65536
    head -c 1m /dev/urandom >/tmp/tail
    result write_end dd if=/tmp/tail of=/dev/vdb bs=1M seek=31 oflag=direct
    say "vdb.end=$(digest </tmp/tail)"
}

# IDE: disks a and b are on one channel; c is on the other and may not be written. Loads the modules itself, to give libata its mode. Channels are probed
# side by side, so only serial numbers tell disks apart.
attach_disks() { # DMA: libata's parameter, a bit for each kind of device that may use it
    local module
    while read -r module; do
        case $module in
            libata.ko) insmod "/modules/$module" dma="$1" ;;
            *) insmod "/modules/$module" ;;
        esac
    done </modules/order
    wait_until 30 three_disks
}
three_disks() { [ -n "$(disk_of a)" ] && [ -n "$(disk_of b)" ] && [ -n "$(disk_of c)" ]; }
disk_of() { # SERIAL: its name
    local disk
    for disk in /sys/block/sd*; do
        [ "$(tail -c +5 "$disk/device/vpd_pg80" 2>/dev/null | xargs)" = "$1" ] && [ -b "/dev/${disk##*/}" ] && echo "${disk##*/}"
    done
}
flushes() { awk '{ print $16 }' "/sys/block/$1/stat"; }
ata_errors() { # NAME: since the last call
    kernel_log -c | errors_in "$1" '\bata[0-9.]+: .*(exception|failed|error|timeout|frozen|reset|limiting)|I/O error|PCI.*(can.t|conflict|fail)'
}
check_ide() { # dma=N amount=KIB
    local name a b c before
    result attached attach_disks "$(option dma 7)"
    a=$(disk_of a) b=$(disk_of b) c=$(disk_of c)
    say "driver=$(basename "$(readlink -f "/sys/block/$a/device/../../../../driver")")"
    say "modes=$(cat /sys/class/ata_device/*/xfer_mode | grep -v SLOW | sort -u | xargs)"
    say "sectors=$(cat "/sys/block/$a/size" "/sys/block/$b/size" "/sys/block/$c/size" | xargs)"
    result raw verified_io "/dev/$a" 32 4k --io_size="$(option amount 6144)k"
    result large verified_io "/dev/$a" 32 256k --io_size="$(option amount 6144)k"
    result both fio --name=a --filename="/dev/$a" --name=b --filename="/dev/$b" --rw=randwrite --bs=16k --size="$(option amount 6144)k" --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --verify_fatal=1 --do_verify=1
    before=$(flushes "$a")
    result flush dd if=/dev/urandom of="/dev/$a" bs=64k count=4 conv=fsync
    say "flushes=$(($(flushes "$a") - before))"
    result format mkfs.ext4 -q -F -O ^has_journal "/dev/$a" # a journal is slow through the data port
    mount "/dev/$a" /mnt
    result files verified_io /mnt/file 2 8k --io_size="$(option amount 6144)k"
    umount /mnt
    result check e2fsck -fn "/dev/$a"
    for name in a b c; do say "$name.sha256=$(digest <"/dev/${!name}")"; done
    ata_errors errors
    dd if=/dev/zero of="/dev/$c" bs=4k count=1 oflag=direct 2>/dev/null && say readonly=written || say readonly=refused
    echo 3 >/proc/sys/vm/drop_caches
    say "c.after=$(digest <"/dev/$c")"
    result after verified_io "/dev/$b" 2 16k --io_size=64k
}

check_features() { # every disk and every interface is its own case
    local disk name number
    for disk in /sys/block/vd*; do
        name=${disk##*/}
        features_of "$name" "$disk/device"
        say "$name.queues=$(ls "$disk/mq" | wc -l)"
        result "$name.io" verified_io "/dev/$name" 2 16k
    done
    for number in 0 1 2 3 4 5 6 7; do
        [ -e "/sys/class/net/eth$number" ] || break
        features_of "eth$number" "/sys/class/net/eth$number/device"
        interface_up "$number"
        transfer "$number" "eth$number"
        result "eth$number.ping" reachable "$number"
    done
    errors 'I/O error|'
}

streams() { # NAME: TCP both ways through iperf3
    result "$1.out" iperf3 -c 10.9.0.1 -t 2 -P 2 --connect-timeout 10000
    say "$1.out_rate=$(received)"
    result "$1.in" iperf3 -c 10.9.0.1 -t 2 -P 2 -R --connect-timeout 10000
    say "$1.in_rate=$(received)"
}
received() { awk '/SUM.*receiver/ { print $6 $7 }' /tmp/result | tail -n 1; }
offload() { ethtool -k eth0 | sed -n "s/^$1: *\([a-z]*\).*/\1/p"; }
check_net() {
    interface_up 0
    say "queues=$(ls -d /sys/class/net/eth0/queues/tx-* | wc -l)"
    say "combined=$(ethtool -l eth0 | sed -n 's/^Combined:[^0-9]*//p' | tail -n 1)"
    result flood ping -n -q -f -c 3000 10.9.0.1
    say "lost=$(sed -n 's/.* \([0-9.]*%\) packet loss.*/\1/p' /tmp/result)"
    result large_flood ping -n -q -f -s 8000 -c 300 10.9.0.1
    say "large_lost=$(sed -n 's/.* \([0-9.]*%\) packet loss.*/\1/p' /tmp/result)"
    say "offloads=$(offload tx-checksumming),$(offload tcp-segmentation-offload)"
    streams with
    transfer 0 with
    ethtool -K eth0 tx off tso off gso off gro off sg off >/dev/null 2>&1
    say "offloads_after=$(offload tx-checksumming),$(offload tcp-segmentation-offload)"
    streams without
    transfer 0 without
    result one_queue ethtool -L eth0 combined 1
    result one_queue_ping reachable 0
    result two_queues ethtool -L eth0 combined 2
    result two_queues_ping reachable 0
    errors
}

# Whoever serves the interface: data both ways, and what the host counts while that goes on.
check_vhost() {
    features_of eth0 /sys/class/net/eth0/device
    interface_up 0
    say ready=traffic
    transfer 0 net
    result flood ping -n -q -f -c 1000 10.9.0.1
    say "lost=$(sed -n 's/.* \([0-9.]*%\) packet loss.*/\1/p' /tmp/result)"
    streams tcp
    say ready=count
    result counted wait_until 30 wget -q -O /dev/null http://10.9.0.1:8000/counted
    result one_queue ethtool -L eth0 combined 1
    result one_queue_ping reachable 0
    result two_queues ethtool -L eth0 combined 2
    result two_queues_ping reachable 0
    transfer 0 again
    errors
}

# The stock driver of the 82540EM: offloads, tags, long frames, its own self-test, reloads, and a link that goes and comes.
large_ping() { ping -n -q -f -M do -s 8000 -c 300 -W 2 "$1"; }
# Its loopback test ends with 14 when every frame came back, but checking them took the guest two ticks: that is the host's load.
self_test() {
    local try said status
    for ((try = 0; try < 5; try++)); do
        said=$(ethtool -t eth0 offline)
        status=$?
        echo "$said"
        wait_until 20 carrier 0 1 || return 1
        [ $status != 0 ] || return 0
        ! grep -qvE '^Loopback test .*[[:space:]]14$' <<<"$(grep -E '[[:space:]][1-9][0-9]*$' <<<"$said")" || return 1
    done
    return 1
}
check_e1000() {
    local cycle good=0
    interface_up 0
    say "driver=$(ethtool -i eth0 | sed -n 's/^driver: //p')"
    say "speed=$(cat /sys/class/net/eth0/speed)"
    say "offloads=$(offload tx-checksumming),$(offload tcp-segmentation-offload)"
    result flood ping -n -q -f -c 3000 10.9.0.1
    say "lost=$(sed -n 's/.* \([0-9.]*%\) packet loss.*/\1/p' /tmp/result)"
    streams with
    transfer 0 with
    ip link set eth0 mtu 9000
    wait_until 20 carrier 0 1
    result large_flood large_ping 10.9.0.1
    transfer 0 large
    ip link set eth0 mtu 1500
    wait_until 20 carrier 0 1
    ip link add link eth0 name tagged type vlan id 5 && ip address add 10.9.5.2/24 dev tagged && ip link set tagged up
    transfer 5 tagged
    ip link del tagged
    ethtool -K eth0 tx off tso off gso off gro off sg off >/dev/null 2>&1
    say "offloads_after=$(offload tx-checksumming),$(offload tcp-segmentation-offload)"
    streams without
    transfer 0 without
    result self_test self_test
    for ((cycle = 0; cycle < 3; cycle++)); do net_cycle reload e1000; done
    say "reloads=$good"
    ip link set eth0 promisc on
    result promiscuous reachable 0
    say ready=down
    result link_lost wait_until 30 carrier 0 0
    say ready=up
    result link_back wait_until 30 carrier 0 1
    transfer 0 after
    errors 'e1000.*(hang|error|fail|reset adapter|invalid)|hw csum failure|'
}

# Drivers leave and come back while their devices are busy: counts how often that went well.
rebind() { # BUS_DRIVER_FOLDER DEVICE
    echo "$2" >"$1/unbind" && echo "$2" >"$1/bind"
}
reload() { rmmod "$1" && insmod "/modules/$1.ko"; }
reload_free() { # as soon as nobody has the disk open any more
    kill $(jobs -p) 2>/dev/null
    wait_until 10 rmmod "$1" 2>/dev/null && insmod "/modules/$1.ko"
}
writes_to() { [ "$(readlink "/proc/$1/fd/1")" = "$2" ]; } # PID FILE
disk_cycle() { # COMMAND...: with reads and writes in flight; what was written before is there after
    dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null &
    dd if=/dev/zero of=/dev/vda bs=64k seek=64 oflag=direct 2>/dev/null &
    wait_until 2 writes_to $! /dev/vda # once the disk is away it would make a file of that name
    usleep 20000
    "$@" && wait_until 10 test -b /dev/vda && [ "$(head -c 1m /dev/vda | digest)" = "$before" ] && good=$((good + 1))
    kill $(jobs -p) 2>/dev/null
    wait
}
net_cycle() {
    ping -n -q -f 10.9.0.1 >/dev/null 2>&1 &
    usleep 20000
    "$@" && wait_until 10 test -e /sys/class/net/eth0 && interface_up 0 && reachable 0 >/dev/null && good=$((good + 1))
    kill $(jobs -p) 2>/dev/null
    wait
}
check_rebind() {
    local good=0 tries=0 before disk net rng pci_disk pci_net
    before=$(head -c 1m /dev/vda | digest)
    disk=$(readlink -f /sys/block/vda/device) net=$(readlink -f /sys/class/net/eth0/device)
    pci_disk=${disk%/*} pci_net=${net%/*}
    interface_up 0
    for ((tries = 0; tries < 100; tries += 5)); do
        disk_cycle rebind /sys/bus/virtio/drivers/virtio_blk "${disk##*/}"
        net_cycle rebind /sys/bus/virtio/drivers/virtio_net "${net##*/}"
        disk_cycle rebind /sys/bus/pci/drivers/virtio-pci "${pci_disk##*/}"
        disk=$(readlink -f /sys/block/vda/device)
        if ((tries % 10)); then
            disk_cycle reload_free virtio_blk
            net_cycle reload virtio_net
        else
            net_cycle rebind /sys/bus/pci/drivers/virtio-pci "${pci_net##*/}"
            net=$(readlink -f /sys/class/net/eth0/device)
            rng=$(echo /sys/bus/virtio/drivers/virtio_rng/virtio*)
            rebind /sys/bus/virtio/drivers/virtio_rng "${rng##*/}" &&
                [ "$(dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c)" = 64 ] && good=$((good + 1))
        fi
        say "cycles=$((tries + 5)) good=$good"
    done
    say "good=$good"
    say "sha256=$(head -c 1m /dev/vda | digest)"
    result io verified_io /dev/vda 8 16k --offset=8M --io_size=2M
    transfer 0 net
    errors
}

# The first boot leaves data and resets with requests and packets under way; the second finds the data and working devices.
check_reboot() {
    local digest
    if [ "$(dd if=/dev/vda bs=1M skip=24 count=1 2>/dev/null | head -c 8)" != rebooted ]; then
        result first verified_io /dev/vda 8 16k --io_size=2M
        digest=$(head -c 8m /dev/vda | digest)
        printf 'rebooted%s' "$digest" | dd of=/dev/vda bs=1M seek=24 conv=fsync 2>/dev/null
        interface_up 0
        fio --name=load --filename=/dev/vda --rw=randrw --bs=16k --offset=12M --size=8M --ioengine=libaio --iodepth=32 --direct=1 --time_based --runtime=60 >/dev/null 2>&1 &
        ping -n -q -f 10.9.0.1 >/dev/null 2>&1 &
        iperf3 -c 10.9.0.1 -t 60 >/dev/null 2>&1 &
        result busy wait_until 20 busy
        say "rebooting_with=$(cat /sys/block/vda/inflight | xargs)"
        /bin/busybox reboot -f
    fi
    digest=$(dd if=/dev/vda bs=1M skip=24 count=1 2>/dev/null | head -c 72 | tail -c 64)
    if [ "$(head -c 8m /dev/vda | digest)" = "$digest" ]; then say data=kept; else say data=lost; fi
    result second verified_io /dev/vda 8 16k --offset=12M --io_size=2M
    interface_up 0
    result ping reachable 0
    transfer 0 net
    errors 'I/O error|'
}
busy() { # three times as many reads as there may be in flight have been done
    local reads
    read -r reads _ </sys/block/vda/stat
    [ "$reads" -gt $((${busy_from:=$reads} + 96)) ]
}

# Says what is flushed until somebody ends it. vda: blocks that hold their number, vdb: files.
block() { yes "block $1 of the image" | head -c 65536; }
check_flush() {
    local number
    mkfs.ext4 -q -F /dev/vdb
    mount /dev/vdb /mnt
    fio --name=load --filename=/dev/vda --rw=randwrite --bs=16k --offset=24M --size=8M --ioengine=libaio --iodepth=16 --direct=1 --time_based --runtime=600 >/dev/null 2>&1 &
    for ((number = 0; number < 320; number++)); do
        block "$number" | dd of=/dev/vda bs=64k iflag=fullblock seek="$number" conv=fsync 2>/dev/null
        block "$number" | dd of="/mnt/$number" bs=64k iflag=fullblock conv=fsync 2>/dev/null
        sync /mnt
        say "flushed=$number"
    done
}
check_flushed() { # until=N
    local number last missing=0
    last=$(option until 0)
    result mount mount /dev/vdb /mnt
    for ((number = 0; number <= last; number++)); do
        [ "$(block "$number" | digest)" = "$(digest <"/mnt/$number")" ] || missing=$((missing + 1))
    done
    say "missing=$missing"
    umount /mnt
    result check e2fsck -fn /dev/vdb
}

# What the host changes under a running guest: the size of a disk, and a tap that goes away.
sectors() { [ "$(cat "/sys/block/$1/size")" = "$2" ]; } # DISK SECTORS
check_changes() {
    local data=/tmp/tail
    interface_up 0
    result ping reachable 0
    say "sectors=$(cat /sys/block/vda/size)"
    say ready=grow
    result grown wait_until 30 sectors vda 65536
    head -c 1m /dev/urandom >$data
    result write_end dd if=$data of=/dev/vda bs=1M seek=31 oflag=direct
    echo 3 >/proc/sys/vm/drop_caches
    say "end=$(dd if=/dev/vda bs=1M skip=31 iflag=direct 2>/dev/null | digest)"
    say "end_expected=$(digest <$data)"
    say ready=shrink
    result shrunk wait_until 30 sectors vda 16384
    say ready=unplug
    result carrier_lost wait_until 30 carrier 0 0
    ping -n -q -f -c 50 -W 1 10.9.0.1 >/dev/null 2>&1
    result io verified_io /dev/vda 4 16k --io_size=1M
    ip link set eth0 down
    ip link set eth0 up
    result rebound rebind /sys/bus/virtio/drivers/virtio_net "$(basename "$(readlink -f /sys/class/net/eth0/device)")"
    errors
}

# What the host refuses and breaks under a running guest. vda: io_uring, on a file system that is too small for it. vdb: threads.
writes() { dd if=/dev/urandom of="$1" bs=64k count=4 seek="$2" oflag=direct conv=fsync; } # DEVICE SEEK
refused() { ! "$@"; }
reads() { dd if="$1" of=/tmp/block bs=4k count=1 skip="$2" iflag=direct; } # DEVICE BLOCK
# Refused by the disk, or by the guest itself when it knows of the new size already: then dd reads nothing and is content.
past_end() { rm -f /tmp/block && ! { reads "$1" "$2" && [ -s /tmp/block ]; }; } # DEVICE BLOCK
rtc_past() { [ "$(cat /sys/class/rtc/rtc0/since_epoch)" -gt "$1" ]; }
check_faults() {
    local now
    interface_up 0
    result full refused dd if=/dev/zero of=/dev/vda bs=1M oflag=direct
    say ready=room
    result room wait_until 30 writes /dev/vda 480
    result room_io verified_io /dev/vda 4 16k
    say ready=failing
    result failing wait_until 30 refused writes /dev/vdb 0
    say ready=healed
    result healed wait_until 30 writes /dev/vdb 0
    result healed_io verified_io /dev/vdb 4 16k
    say ready=interrupted
    sleep 2
    result interrupted_a verified_io /dev/vda 4 16k --io_size=1M
    result interrupted_b verified_io /dev/vdb 4 16k --io_size=1M
    transfer 0 interrupted
    say ready=whole
    sleep 1
    say ready=descriptors
    sleep 2
    result descriptors_a verified_io /dev/vda 4 16k --io_size=1M
    result descriptors_b verified_io /dev/vdb 4 16k --io_size=1M
    transfer 0 descriptors
    say ready=more
    sleep 1
    say ready=sleep
    sleep 4
    result slept_io verified_io /dev/vda 4 16k --io_size=1M
    transfer 0 slept
    if [ "$(option clock 0)" = 1 ]; then
        now=$(date +%s)
        say ready=clock
        result clock wait_until 30 rtc_past $((now + 30000000))
        result clock_io verified_io /dev/vda 4 16k --io_size=1M
        transfer 0 clock
        say ready=clock-back
        sleep 1
    fi
    say ready=cut
    result cut wait_until 30 past_end /dev/vdb 2560
    result cut_io verified_io /dev/vdb 4 16k --io_size=1M
}

# Disks whose device on the host fails in a range (vda, 16 to 20 MiB), or all of it for a while (vdb; vdc through the host's page cache).
overwrites() { dd if=/tmp/block of="$1" bs=4k count=1 seek="$2" oflag=direct conv=notrunc; } # DEVICE BLOCK: with what was read last
check_mapper() {
    result bad_read_first refused reads /dev/vda 4096
    result bad_read_last refused reads /dev/vda 5119
    result before_read reads /dev/vda 4095
    result before_write overwrites /dev/vda 4095
    result bad_write_first refused overwrites /dev/vda 4096
    result bad_write_last refused overwrites /dev/vda 5119
    result behind_read reads /dev/vda 5120
    result behind_write overwrites /dev/vda 5120
    result across refused dd if=/dev/vda of=/dev/null bs=1M count=2 skip=15 iflag=direct
    result beside_io verified_io /dev/vda 8 16k --io_size=2M
    say "vda.head=$(dd if=/dev/vda bs=1M count=16 iflag=direct 2>/dev/null | digest)"
    say "vda.tail=$(dd if=/dev/vda bs=1M skip=20 iflag=direct 2>/dev/null | digest)"

    result good verified_io /dev/vdb 4 16k --io_size=1M
    say ready=dead
    result dead_write wait_until 30 refused writes /dev/vdb 0
    result dead_read refused reads /dev/vdb 100
    result others reads /dev/vda 100
    say ready=half
    result half_read wait_until 30 reads /dev/vdb 100
    result half_write refused writes /dev/vdb 0
    say ready=whole
    result whole_write wait_until 30 writes /dev/vdb 0
    result whole_io verified_io /dev/vdb 8 16k --io_size=2M
    say "vdb.sha256=$(dd if=/dev/vdb bs=1M iflag=direct 2>/dev/null | digest)"

    result flush writes /dev/vdc 0
    say ready=unstable
    result lost_flush wait_until 30 refused writes /dev/vdc 0
    say ready=stable
    sleep 2
    result kept_refusing refused writes /dev/vdc 0
    result stable_read reads /dev/vdc 100
}

# Packets go through another process, which is killed and comes back.
exchange() {
    features_of eth0 /sys/class/net/eth0/device
    interface_up 0
    result reachable wait_until 90 reachable 0
    result flood ping -n -q -f -c 500 10.9.0.1
    say "lost=$(sed -n 's/.* \([0-9.]*%\) packet loss.*/\1/p' /tmp/result)"
    transfer 0 net
    streams tcp
}
check_switched() {
    exchange
    if [ "$(option queues 1)" = 2 ]; then
        result one_queue ethtool -L eth0 combined 1
        result one_queue_ping reachable 0
        result two_queues ethtool -L eth0 combined 2
        result two_queues_ping reachable 0
    fi
    lose_carrier
    errors
}
lose_carrier() {
    local flood
    # With packets on their way.
    ping -n -q -f 10.9.0.1 >/dev/null 2>&1 &
    flood=$!
    say ready=lose
    result carrier_lost wait_until 30 carrier 0 0
    kill "$flood"
    ping -n -q -c 5 -i 0.05 -W 1 10.9.0.1 >/dev/null 2>&1
    say ready=return
    result carrier_back wait_until 90 carrier 0 1
    result reachable_again wait_until 30 reachable 0
    transfer 0 again
}

# Two guests on a switch that is another process: the one of role=other does for the other what the host does elsewhere, until it is told that this is enough.
check_paired() {
    if [ "$(option role this)" = other ]; then
        mkdir /www
        head -c 3m /dev/urandom >/www/data
        say "data=$(digest </www/data)"
        busybox httpd -p 8000 -h /www
        nc -ll -p 8001 -e sha256sum &
        iperf3 -s >/dev/null 2>&1 &
        ip link set lo up
        ip address replace 10.9.0.1/24 dev eth0 && ip link set eth0 up
        nc -l -p 8002 </dev/null >/dev/null
    else
        exchange
        [ "$(option switch stays)" = stays ] || lose_carrier
        nc 10.9.0.1 8002 </dev/null
    fi
    errors
}

# A folder of the host, served by another process that dies once. Its successor knows no open files: whoever has it mounted has to mount it again.
tree() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | digest); } # FOLDER: names and contents
stress() { # FOLDER ROUNDS: files and folders made, renamed, linked, cut and removed, by four at a time
    local job jobs=()
    mkdir -p "$1"
    for job in 1 2 3 4; do stress_one "$1/$job" "$2" & jobs+=($!); done
    wait "${jobs[@]}"
}
stress_one() {
    local round
    for ((round = 0; round < $2; round++)); do
        mkdir -p "$1/a/b" && echo "$round" >"$1/a/b/file" && mv "$1/a/b/file" "$1/a/moved" && ln "$1/a/moved" "$1/linked" && ln -s a "$1/soft" &&
            [ "$(cat "$1/soft/moved")" = "$round" ] && truncate -s 0 "$1/linked" && [ ! -s "$1/a/moved" ] && rm -r "$1" || say "stress_failed=$1.$round"
    done
}
check_shared() {
    local writer
    result mount mount -t virtiofs shared /mnt
    say "tree.host=$(tree /mnt/from-host)"
    mkdir /mnt/from-guest
    cp -r /bin /modules /mnt/from-guest/
    result io verified_io /mnt/from-guest/verified 8 16k --direct=0
    sync
    say "tree.guest=$(tree /mnt/from-guest)"
    say ready=compare
    stress /mnt/stress 40
    say "stress=$(find /mnt/stress -mindepth 1 | wc -l)"
    dd if=/dev/zero of=/mnt/busy bs=64k count=100000 2>/dev/null &
    writer=$!
    usleep 300000
    say ready=lose
    # It is told of an error instead of waiting for ever.
    result writer_ended wait_until 60 gone "$writer"
    umount -l /mnt
    result remount wait_until 30 mount -t virtiofs shared /mnt
    say "tree.again=$(tree /mnt/from-guest)"
    result io_again verified_io /mnt/from-guest/verified 4 16k --direct=0
    umount /mnt
    errors
}
gone() { ! kill -0 "$1" 2>/dev/null; }

"check_$(option check none)"
