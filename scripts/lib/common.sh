# Sourced by the scripts of this folder: paths, progress, retries, privilege. No side effects but PATH.
# shellcheck shell=bash

repo=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/kvmsharp
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

# An SDK below ~/.dotnet, where install-deps.sh puts one that no package has, serves when there is none that global.json accepts.
use_dotnet_folder() {
    local folder=${HOME:-/root}/.dotnet
    [ -x "$folder/dotnet" ] || return 0
    if command -v dotnet >/dev/null 2>&1 && (cd "$repo" && dotnet --version) >/dev/null 2>&1; then return 0; fi
    export DOTNET_ROOT=$folder PATH=$folder:$PATH
}
use_dotnet_folder
# depmod and friends.
case ":$PATH:" in *:/usr/sbin:*) ;; *) PATH=$PATH:/usr/sbin:/sbin ;; esac
export PATH

say() { printf '%s\n' "${0##*/}: $*" >&2; }
die() { say "$*"; exit "${die_status:-1}"; }

# Milliseconds of the wall clock, without a process.
now_ms() { local t=${EPOCHREALTIME/[.,]/}; printf '%s' "${t%???}"; }

# step LABEL COMMAND...: runs the command with its output kept in a log, shows that it is alive, and says how
# long it took. On failure the end of the log (step_lines=40) is shown and the command's status returned.
step() {
    local label=$1 log status=0 started elapsed pid
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/kvmsharp-step.XXXXXX")
    started=$(now_ms)
    printf '%s: %s ' "${0##*/}" "$label" >&2
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if ! timeout 4 tail --pid="$pid" -f /dev/null 2>/dev/null && kill -0 "$pid" 2>/dev/null; then
            printf '.' >&2
        fi
    done
    wait "$pid" || status=$?
    elapsed=$(($(now_ms) - started))
    if [ "$status" = 0 ]; then
        printf ' done (%d.%01d s)\n' $((elapsed / 1000)) $((elapsed % 1000 / 100)) >&2
    else
        printf ' FAILED (status %d after %d s)\n' "$status" $((elapsed / 1000)) >&2
        tail -n "${step_lines:-40}" "$log" | sed 's/^/    /' >&2
    fi
    rm -f "$log"
    return "$status"
}

# retry COMMAND...: up to five attempts with growing pauses, for anything that talks to a network.
retry() {
    local attempt
    for attempt in 1 2 3 4 5; do
        "$@" && return 0
        [ "$attempt" = 5 ] && break
        echo "attempt $attempt of 5 failed: $*" >&2
        sleep $((attempt * 3))
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1; then sudo -- "$@"
    else die "needs root for: $* (run as root, or install sudo)"
    fi
}

# ask_for_root WHY: sudo asks for its password here, where a person sees it, and not behind the progress of a step.
ask_for_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null 2>&1 || die "needs root $1: run this as root, or install sudo"
    sudo -n true 2>/dev/null && return 0
    say "needs root $1"
    sudo -v || die "needs root $1: sudo did not grant it"
}

# True when this machine runs guest kernels on the CPU's own virtualization. A /dev/kvm without VMX or SVM exists
# (software virtualization behind the same API); it emulates guest kernels and takes minutes to boot one.
has_hardware_kvm() {
    case ${KVMSHARP_LAB:-auto} in
        force) return 1 ;;
        never) return 0 ;;
    esac
    grep -qwE 'vmx|svm' /proc/cpuinfo && [ -r /dev/kvm ] && [ -w /dev/kvm ]
}

# Why not, in words.
no_hardware_kvm() {
    if [ "${KVMSHARP_LAB:-}" = force ]; then echo "the lab was asked for"
    elif ! grep -qwE 'vmx|svm' /proc/cpuinfo; then echo "no hardware virtualization here"
    elif [ ! -e /dev/kvm ]; then echo "no /dev/kvm here (sudo modprobe kvm_intel, or kvm_amd, makes it)"
    else echo "/dev/kvm is not for this user (sudo usermod -aG kvm $(id -un) and a new login change that)"
    fi
}

# Where Debian and others put it: a package of its own, or QEMU 7.2's.
virtiofsd_path() {
    local path
    for path in /usr/libexec/virtiofsd /usr/lib/qemu/virtiofsd; do
        if [ -x "$path" ]; then echo "$path"; return 0; fi
    done
    return 1
}

# with_cache_lock COMMAND...: one preparer of the cache at a time; others wait and then find it done.
with_cache_lock() {
    mkdir -p "$cache"
    (
        exec 8>"$cache/.lock"
        flock 8
        "$@" 8>&-
    )
}

# Runs a command so that SIGTERM and SIGHUP to this script reach it (a shell would sit on them until the command ended).
# On a terminal it stays in the foreground, where the terminal itself signals it.
run_forwarding() {
    local child status=0
    if [ -t 0 ]; then "$@"; return; fi
    "$@" <&0 &
    child=$!
    trap 'kill -TERM "$child" 2>/dev/null' TERM HUP
    while :; do
        status=0
        wait "$child" || status=$?
        kill -0 "$child" 2>/dev/null || break
    done
    # A wait that a signal ended gave the signal; the command's own status is still kept.
    if [ "$status" = 143 ] || [ "$status" = 129 ]; then
        status=0
        wait "$child" || status=$?
    fi
    trap - TERM HUP
    return "$status"
}
