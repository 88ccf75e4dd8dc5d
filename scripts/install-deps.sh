#!/bin/bash
# Installs what this machine lacks. Debian 12 and later, Ubuntu; as root or with sudo. Does nothing, quickly, when everything is there.
#
#   install-deps.sh [--demo] [--list]
#
# --demo leaves out what only tests and benchmarks need (a browser, DPDK, measuring tools). --list only prints what is missing.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

list_only=0 demo=0
while [ $# -gt 0 ]; do
    case $1 in
        --list) list_only=1 ;;
        --demo) demo=1 ;;
        *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; die_status=2 die "unknown option $1" ;;
    esac
    shift
done

missing=()
need() { # PACKAGES TEST...: the first of PACKAGE[|PACKAGE] that this release has, when the test fails
    local packages=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$packages")
}
has() { command -v "$1"; }
icu() { [[ $(ldconfig -p) == *libicuuc.so* ]]; }
static_busybox() { local b; for b in /bin/busybox /usr/bin/busybox; do [ -x "$b" ] && ! ldd "$b" && return 0; done; return 1; }
dotnet_ok() { # an SDK that global.json accepts
    has dotnet && (cd "$repo" && dotnet --version)
}

need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
need curl has curl
need gcc has gcc                                   # native shims, the lab's helper, linking the native binary
need libc6-dev test -e /usr/lib/x86_64-linux-gnu/libc.a
need zlib1g-dev test -e /usr/include/zlib.h            # linking the native binary
need binutils has objcopy
need linux-libc-dev test -e /usr/include/linux/kvm.h
need make has make
need qemu-system-x86 has qemu-system-x86_64        # the lab
need busybox-static static_busybox                 # guests and the lab's first program
need kmod has depmod
need mmdebstrap has mmdebstrap                     # Debian images for guests
need cpio has cpio
need xz-utils has xz
need zstd has zstd
need lz4 has lz4                                   # how Debian 6.1 cloud kernels are compressed
need 'libicu72|libicu74|libicu76|libicu78' icu              # without it no .NET SDK starts; only its packages bring it along
need e2fsprogs has resize2fs
need iproute2 has bridge
need util-linux has flock
if ! grep -qs '^ID=debian' /etc/os-release; then need debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg; fi

if [ "$demo" = 0 ]; then
    need libseccomp2 test -e /usr/lib/x86_64-linux-gnu/libseccomp.so.2   # what the filters of the sandbox are compared with
    need acpica-tools has iasl                     # ACPI tests
    need fio has fio                               # what guests check disks and networks with: scripts/lib/guest-tools.sh
    need iperf3 has iperf3
    need ethtool has ethtool
    need iputils-ping has ping
    need dpdk-dev has dpdk-testpmd                 # the other end of vhost-user networks, in tests and benchmarks
    need libunbound8 test -e /usr/lib/x86_64-linux-gnu/libunbound.so.8 # for Open vSwitch, which scripts/guest.sh unpacks
    need 'virtiofsd|qemu-system-common' virtiofsd_path # and of vhost-user file systems
    need chromium has chromium                     # tests of the benchmarks' pages
    need strace has strace                         # tests of a failing host: it injects errors of system calls
    need dmsetup has dmsetup                       # the same for disks: its error and flakey targets
    need socat has socat
    need procps has ps
fi

if [ "$list_only" = 1 ]; then
    [ ${#missing[@]} = 0 ] || printf "%s\n" "${missing[@]}"
    dotnet_ok >/dev/null 2>&1 || echo dotnet-sdk-10.0
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt_update() { as_root apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update; }
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@"
}
offered() { local policy; policy=$(apt-cache policy "$1" 2>/dev/null); [[ $policy == *'Candidate: '* && $policy != *'Candidate: (none)'* ]]; }

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || die "missing: ${missing[*]}; this script installs with apt only (Debian, Ubuntu)"
    ask_for_root "to install packages"
    step "package lists" retry apt_update || say "package lists could not be refreshed; trying with those that are here"
    install=() absent=()
    for packages in "${missing[@]}"; do
        found=''
        for package in ${packages//|/ }; do
            if offered "$package"; then found=$package; break; fi
        done
        if [ -n "$found" ]; then install+=("$found"); else absent+=("${packages%%|*}"); fi
    done
    # Ubuntu has chromium as a snap only; what needs it is skipped.
    [ ${#absent[@]} = 0 ] || say "not among this release's packages: ${absent[*]}"
    if [ ${#install[@]} -gt 0 ]; then
        step "installing ${install[*]}" retry apt_install "${install[@]}" || die "could not install: ${install[*]}"
    fi
fi

# The .NET SDK: Ubuntu has it. Debian has none: Microsoft's package feed where it serves this release, else the SDK below ~/.dotnet.
microsoft_feed() {
    local id version
    id=$(. /etc/os-release && echo "$ID")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
    retry curl -fsSL --max-time 60 -o "$work/feed.deb" "https://packages.microsoft.com/config/$id/$version/packages-microsoft-prod.deb" || return 1
    as_root dpkg -i "$work/feed.deb" || return 1
    apt_update && apt_install dotnet-sdk-10.0 && return 0
    # A feed without the SDK is of no use here.
    as_root dpkg -P packages-microsoft-prod
    return 1
}
dotnet_folder() {
    retry curl -fsSL --max-time 60 -o "$work/install.sh" https://dot.net/v1/dotnet-install.sh || return 1
    retry bash "$work/install.sh" --channel 10.0 --install-dir "$HOME/.dotnet" --no-path
}
if ! dotnet_ok >/dev/null 2>&1; then
    if command -v dotnet >/dev/null; then
        say "dotnet cannot be used here (SDKs: $(dotnet --list-sdks 2>/dev/null | cut -d' ' -f1 | xargs)): $( (cd "$repo" && dotnet --version 2>&1) | grep -m 1 .)"
    fi
    ask_for_root "to install the .NET SDK"
    work=$(mktemp -d "${TMPDIR:-/tmp}"/kvmsharp-dotnet.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    # One of these that fails is no more than a line: the next is tried.
    step_lines=1
    { offered dotnet-sdk-10.0 && step ".NET 10 SDK" apt_install dotnet-sdk-10.0; } ||
        step ".NET 10 SDK from packages.microsoft.com" microsoft_feed ||
        step ".NET 10 SDK into ~/.dotnet" dotnet_folder ||
        die "no .NET 10 SDK could be installed: install one (https://dotnet.microsoft.com/download) and run this again"
    use_dotnet_folder
    dotnet_ok >/dev/null || die "dotnet is installed but does not start: $(cd "$repo" && dotnet --version 2>&1 | head -n 3)"
fi
