#!/bin/bash
# Runs a command as root on a Linux host with a complete KVM, and gives back its output and exit status.
#
#   lab.sh [options] -- COMMAND...        one command; the lab ends with it
#   lab.sh --keep NAME [options] [-- COMMAND...]   starts lab NAME unless it runs, leaves it running
#   lab.sh --in NAME [options] -- COMMAND...       one more command in a running lab
#   lab.sh --stop NAME | --list | --tool           (--tool: builds the lab's helper program and prints its path)
#
# Where the CPU offers virtualization (VMX or SVM) and /dev/kvm may be used, the command simply runs here. Elsewhere it runs in
# the lab: QEMU emulates a CPU with SVM, a stock Debian kernel on it has /dev/kvm, vhost, tun, VFIO and vDPA, and this
# machine's files are its root file system (read-only). KVMSHARP_LAB=force always takes the lab, =never never does.
#
# What a command finds: this machine's files, the repository at its own path (read-only), a writable scratch folder in
# $KVMSHARP_SCRATCH at the same path inside and outside, tmpfs on /tmp, /run and /mnt, $HOME on tmpfs.
# On a terminal the command gets a terminal. Status 124: --timeout passed; 125: the lab itself failed.
#
# Options:
#   --smp N, --mem SIZE     the lab's CPUs (1; more than one is less reliable) and memory (6G, taken as it is used)
#   --device DEVICE         a QEMU -device for the lab; --qemu ARGUMENT passes anything else. Both may be repeated
#   --vfio                  adds an NVMe controller with SR-IOV (virtual functions for VFIO) on an image in the scratch folder
#   --scratch DIR           the scratch folder (made if missing; default: a fresh one, removed with the lab)
#   --share DIR             another folder that is writable inside, at its own path. May be repeated
#   --env NAME=VALUE        for the command; KVMSHARP_* and TERM pass by themselves. --cwd DIR: its folder (default: this one)
#   --timeout SECONDS       for the command. --boot-timeout SECONDS: for the lab to answer (90)
#   --tty, --pipe           the command's streams: a terminal, or three separate pipes (default: as found)
#   --owner PID             with --keep: the lab also ends when this process does
#   --verbose               how long each step took
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"
. "$repo/scripts/lib/kernels.sh"
. "$repo/scripts/lib/initramfs.sh"
die_status=125

usage() { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0" | sed '$d'; }

smp=1 mem=6G mode=once name='' scratch='' owner='' vfio=0 verbose=0 boot_timeout=90 cwd=$PWD
devices=() qemu_extra=() shares=() client_options=() command=()
while [ $# -gt 0 ]; do
    case $1 in
        --) shift; command=("$@"); break ;;
        --verbose) verbose=1 ;;
        --vfio) vfio=1 ;;
        --tty | --pipe) client_options+=("$1") ;;
        --list) mode=list ;;
        --tool) mode=tool ;;
        -h | --help) usage; exit 0 ;;
        --smp | --mem | --device | --qemu | --scratch | --share | --env | --cwd | --timeout | --boot-timeout | --owner | --keep | --in | --stop)
            [ $# -ge 2 ] || die_status=2 die "$1 needs a value"
            case $1 in
                --smp) smp=$2 ;;
                --mem) mem=$2 ;;
                --device) devices+=("$2") ;;
                --qemu) qemu_extra+=("$2") ;;
                --scratch) scratch=$2 ;;
                --share) shares+=("$(realpath -- "$2")") ;;
                --env) client_options+=(--env "$2") ;;
                --cwd) cwd=$2 ;;
                --timeout) client_options+=(--timeout "$2") ;;
                --boot-timeout) boot_timeout=$2 ;;
                --owner) owner=$2 ;;
                --keep | --in | --stop) mode=${1#--} name=$2 ;;
            esac
            shift ;;
        *) usage >&2; die_status=2 die "unknown option $1 (a command comes after --)" ;;
    esac
    shift
done
[[ -z $name || $name =~ ^[A-Za-z0-9._-]{1,32}$ ]] || die_status=2 die "a lab's name is up to 32 letters, digits, dots, dashes"
case $mode in once | in) [ ${#command[@]} -gt 0 ] || { usage >&2; die_status=2 die "no command after --"; } ;; esac

# One folder per user; short, because the paths of unix sockets are limited to 107 bytes.
labs=/tmp/kvmsharp-lab-$(id -u)
mkdir -p -m 700 "$labs"
[ -O "$labs" ] || die "$labs belongs to somebody else"
timing() { [ "$verbose" = 0 ] || say "$1: $(($(now_ms) - $2)) ms"; }

lab_pid() { local pid; read -r pid 2>/dev/null <"$1/pid" && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && echo "$pid"; }

stop_lab() { # FOLDER
    local pid i
    if pid=$(lab_pid "$1"); then
        kill "$pid" 2>/dev/null || true
        for ((i = 0; i < 50; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
        kill -9 "$pid" 2>/dev/null || true
    fi
    rm -rf "$1"
}

labtool() { # builds the helper into the cache when its sources changed; prints its path
    local key binary
    key=$(cat "$repo"/native-shims/lab/*.[ch] | sha256sum | cut -c1-16)
    binary=$cache/labtool-$key
    if [ ! -x "$binary" ]; then
        mkdir -p "$cache"
        gcc -std=gnu17 -O2 -Wall -Wextra -static -o "$binary.$$" "$repo"/native-shims/lab/*.c ||
            die "cannot build the lab's helper (scripts/install-deps.sh installs what it takes)"
        mv "$binary.$$" "$binary"
    fi
    echo "$binary"
}

if [ "$mode" = tool ]; then labtool; exit 0; fi

# --- a host with hardware KVM: no lab at all -------------------------------------------------------------------------
if has_hardware_kvm; then
    case $mode in
        list | stop) exit 0 ;;
        keep) [ ${#command[@]} -gt 0 ] || exit 0 ;;
    esac
    fresh=''
    if [ -z "$scratch" ]; then fresh=$(mktemp -d "${TMPDIR:-/tmp}"/kvmsharp-scratch.XXXXXX); scratch=$fresh; fi
    mkdir -p "$scratch"
    export KVMSHARP_SCRATCH=$scratch KVMSHARP_REPO=$repo
    trap '[ -z "$fresh" ] || rm -rf "$fresh"' EXIT
    environment=() limit=()
    for ((i = 0; i < ${#client_options[@]}; i++)); do
        case ${client_options[i]} in
            --env) environment+=("${client_options[i + 1]}") ;;
            --timeout) limit=(timeout --foreground "${client_options[i + 1]}") ;;
        esac
    done
    cd "$cwd"
    status=0
    run_forwarding env ${environment[@]+"${environment[@]}"} ${limit[@]+"${limit[@]}"} "${command[@]}" || status=$?
    exit "$status"
fi

# --- the lab ---------------------------------------------------------------------------------------------------------
start_lab() { # FOLDER: everything below it belongs to this lab
    local folder=$1 kernel image started qemu=() i index=0 share
    started=$(now_ms)
    command -v qemu-system-x86_64 >/dev/null || die "no qemu-system-x86_64: run scripts/install-deps.sh"
    kernel=$(kernel_dir 6.12 generic)
    mkdir -p "$folder" "$scratch" "$cache"
    chmod 700 "$folder"
    {
        echo "ro $repo"
        echo "ro-loose $cache"
        echo "rw $scratch"
        for share in ${shares[@]+"${shares[@]}"}; do echo "rw $share"; done
    } >"$folder/shares"
    echo "$scratch" >"$folder/scratch"
    image=$(with_cache_lock pack_initramfs lab "$repo/scripts/lib/lab-init" "$kernel" "$(cat "$repo/scripts/lib/lab-modules")" "$tool=labtool")
    # The list of shares is this lab's own: a second archive, which the kernel unpacks over the first.
    { cat "$image"; (cd "$folder" && echo shares | cpio --quiet -o -H newc -R 0:0); } >"$folder/initramfs"
    timing "preparing" "$started"

    # No ERMS and no five-level paging: the emulator does byte strings byte by byte, and walks every level.
    # No XSAVE: this CPU does not hand XSETBV to the hypervisor, so a guest that uses it finds state sizes that contradict each
    # other and loses registers. Without it guests use FXSAVE, as they do after warning about the contradiction.
    qemu=(qemu-system-x86_64 -name "kvmsharp-lab" -accel tcg,thread=multi -M q35,kernel-irqchip=split
        -cpu max,+svm,+npt,-xsave,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq,-mpx,-pku,-erms,-la57 -smp "$smp" -m "$mem" -nodefaults -nographic -no-reboot -no-user-config
        -serial "file:$folder/console.log" -monitor none
        -device intel-iommu,intremap=on,caching-mode=on
        -kernel "$kernel/vmlinuz" -initrd "$folder/initramfs"
        -append 'console=ttyS0 panic=-1 init_on_alloc=0 mitigations=off quiet no_timer_check intel_iommu=on iommu=pt'
        -fsdev local,path=/,id=root,security_model=none,readonly=on,multidevs=remap
        -device virtio-9p-pci,fsdev=root,mount_tag=root,disable-legacy=on
        -device virtio-serial-pci,max_ports=16,disable-legacy=on)
    while read -r share_mode share; do
        local readonly=''
        [ "$share_mode" = rw ] || readonly=,readonly=on
        qemu+=(-fsdev "local,path=${share//,/,,},id=share$index,security_model=none,multidevs=remap$readonly"
            -device "virtio-9p-pci,fsdev=share$index,mount_tag=share$index,disable-legacy=on")
        index=$((index + 1))
    done <"$folder/shares"
    for ((i = 0; i < 12; i++)); do
        qemu+=(-chardev "socket,id=port$i,path=$folder/port$i,server=on,wait=off"
            -device "virtserialport,chardev=port$i,name=kvmsharp.$i,nr=$((i + 1))")
    done
    if [ "$vfio" = 1 ]; then
        [ -e "$folder/nvme.img" ] || truncate -s 1G "$folder/nvme.img"
        qemu+=(-device pcie-root-port,id=rp0,slot=0 -device nvme-subsys,id=ss0
            -device nvme,serial=s,subsys=ss0,bus=rp0,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,max_ioqpairs=16,msix_qsize=16,id=nv0
            -drive "file=$folder/nvme.img,if=none,id=d0,format=raw" -device nvme-ns,drive=d0,bus=nv0,nsid=1,shared=off,detached=off)
    fi
    for device in ${devices[@]+"${devices[@]}"}; do qemu+=(-device "$device"); done
    qemu+=(${qemu_extra[@]+"${qemu_extra[@]}"})
    # A group of its own: Ctrl-C on the terminal is for the command, not for the machine it runs on.
    setsid "${qemu[@]}" </dev/null >"$folder/qemu.log" 2>&1 9>&- &
    echo $! >"$folder/pid"
    for ((i = 0; i < 200; i++)); do
        [ -S "$folder/port11" ] && break
        lab_pid "$folder" >/dev/null || { sed 's/^/    /' "$folder/qemu.log" >&2; die "QEMU did not start"; }
        sleep 0.02
    done
    timing "QEMU" "$started"
}

environment=(--env "PATH=$PATH" --env HOME=/tmp/home --env USER=root --env LOGNAME=root --env LANG=C.UTF-8 --env "TERM=${TERM:-dumb}"
    --env KVMSHARP_IN_LAB=1 --env KVMSHARP_LAB=never --env "KVMSHARP_REPO=$repo" --env DOTNET_NOLOGO=1 --env DOTNET_CLI_TELEMETRY_OPTOUT=1)
[ -z "${DOTNET_ROOT:-}" ] || environment+=(--env "DOTNET_ROOT=$DOTNET_ROOT")
while IFS= read -r variable; do
    case $variable in KVMSHARP_LAB=* | KVMSHARP_IN_LAB=* | KVMSHARP_SCRATCH=* | KVMSHARP_REPO=*) ;; *) environment+=(--env "$variable") ;; esac
done < <(env | grep -a '^KVMSHARP_[A-Z_]*=' || true)

run_in() { # FOLDER COMMAND...: this process's streams, the command's status
    local folder=$1 status=0
    shift
    run_forwarding "$tool" client "$folder" --machine "$(cat "$folder/pid")" --boot-timeout "$boot_timeout" --cwd "$cwd" "${environment[@]}" \
        --env "KVMSHARP_SCRATCH=$(cat "$folder/scratch")" ${client_options[@]+"${client_options[@]}"} -- "$@" || status=$?
    if [ "$status" = 125 ]; then
        say "the lab failed; its console ends with:"
        tail -n 25 "$folder/console.log" 2>/dev/null | sed 's/^/    /' >&2
        sed 's/^/    /' "$folder/qemu.log" >&2 2>/dev/null || true
    fi
    return "$status"
}

case $mode in
    list)
        for folder in "$labs"/keep-*; do
            if [ -d "$folder" ] && pid=$(lab_pid "$folder"); then echo "${folder##*/keep-} pid $pid scratch $(cat "$folder/scratch")"; fi
        done
        ;;
    stop) stop_lab "$labs/keep-$name" ;;
    in)
        lab_pid "$labs/keep-$name" >/dev/null || die "no lab named $name is running (lab.sh --keep $name starts it)"
        tool=$(labtool)
        run_in "$labs/keep-$name" "${command[@]}"
        ;;
    keep)
        tool=$(labtool)
        folder=$labs/keep-$name
        exec 9>"$labs/.$name.lock"
        flock 9
        if ! lab_pid "$folder" >/dev/null; then
            stop_lab "$folder"
            scratch=$(realpath -m -- "${scratch:-$folder/work}")
            started=$(now_ms)
            trap 'stop_lab "$folder"' EXIT
            start_lab "$folder"
            run_in "$folder" true </dev/null
            timing "lab $name answers" "$started"
            trap - EXIT
            if [ -n "$owner" ]; then
                # The watcher holds nothing of ours open: whoever waits for our output must see its end.
                setsid bash -c 'tail --pid="$1" -f /dev/null; read -r pid 2>/dev/null <"$2/pid" && [ "$pid" = "$3" ] && kill "$pid" && sleep 0.5 && rm -rf "$2"' \
                    watcher "$owner" "$folder" "$(cat "$folder/pid")" </dev/null >/dev/null 2>&1 9>&- &
            fi
        fi
        exec 9>&-
        [ ${#command[@]} = 0 ] || run_in "$folder" "${command[@]}"
        ;;
    once)
        tool=$(labtool)
        folder=$(mktemp -d "$labs/once.XXXXXX")
        scratch=$(realpath -m -- "${scratch:-$folder/work}")
        trap 'stop_lab "$folder"' EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        started=$(now_ms)
        start_lab "$folder"
        status=0
        run_in "$folder" "${command[@]}" || status=$?
        timing "from start to the command's end" "$started"
        exit "$status"
        ;;
esac
