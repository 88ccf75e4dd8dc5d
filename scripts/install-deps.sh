#!/bin/bash
# Installs what the build, the tests and the lab need and this machine lacks. Debian 12 and later, Ubuntu; as root or with sudo.
# Does nothing, quickly, when everything is there. --list only prints what is missing.
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/lib/common.sh"

list_only=0
case ${1:-} in '') ;; --list) list_only=1 ;; *) sed -n '2,3s/^# \{0,1\}//p' "$0"; die_status=2 die "unknown option $1" ;; esac

missing=()
need() { # PACKAGE TEST...: the package when the test fails
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { command -v "$1"; }
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
need acpica-tools has iasl                         # ACPI tests
need fio has fio                                   # what guests check disks and networks with: scripts/lib/guest-tools.sh
need iperf3 has iperf3
need dpdk-dev has dpdk-testpmd                     # vhost-user tests: its vhost behind our networks
need libunbound8 test -e /usr/lib/x86_64-linux-gnu/libunbound.so.8 # and Open vSwitch on it, which scripts/guest.sh unpacks
need qemu-system-common test -x /usr/lib/qemu/virtiofsd # and behind our file systems
need ethtool has ethtool
need libseccomp2 test -e /usr/lib/x86_64-linux-gnu/libseccomp.so.2   # filters of the sandbox
need e2fsprogs has resize2fs
need iproute2 has bridge
need iputils-ping has ping
need chromium has chromium                         # tests of the benchmarks' pages
need strace has strace                             # tests of a failing host: it injects errors of system calls
need jq has jq
need socat has socat
need dpdk-dev has dpdk-testpmd                      # a driver for networks that are served: scripts/bench-vhost-user.sh
need procps has ps
need util-linux has flock
need file has file
if ! grep -qs '^ID=debian' /etc/os-release; then need debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg; fi

if [ "$list_only" = 1 ]; then
    printf '%s\n' ${missing[@]+"${missing[@]}"}
    dotnet_ok >/dev/null 2>&1 || echo dotnet-sdk-10.0
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt_update() { as_root apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update; }
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@"
}

if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || die "missing: ${missing[*]}; this script installs with apt only (Debian, Ubuntu)"
    step "package lists" retry apt_update || say "package lists could not be refreshed; trying with those that are here"
    step "installing ${missing[*]}" retry apt_install "${missing[@]}" || die "could not install: ${missing[*]}"
fi

# The .NET SDK: Debian has none. Microsoft's package feed where it serves this release, else the SDK below ~/.dotnet.
microsoft_feed() {
    local id version deb
    id=$(. /etc/os-release && echo "$ID")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
    deb=$(mktemp "${TMPDIR:-/tmp}"/packages-microsoft-prod.XXXXXX.deb)
    retry curl -fsSL --max-time 60 -o "$deb" "https://packages.microsoft.com/config/$id/$version/packages-microsoft-prod.deb" || return 1
    as_root dpkg -i "$deb" || return 1
    rm -f "$deb"
    apt_update && apt_install dotnet-sdk-10.0
}
dotnet_folder() {
    local script
    script=$(mktemp "${TMPDIR:-/tmp}"/dotnet-install.XXXXXX.sh)
    retry curl -fsSL --max-time 60 -o "$script" https://dot.net/v1/dotnet-install.sh || return 1
    retry bash "$script" --channel 10.0 --install-dir "$HOME/.dotnet" --no-path || return 1
    rm -f "$script"
}
if ! dotnet_ok >/dev/null 2>&1; then
    if command -v dotnet >/dev/null; then
        say "the .NET SDKs here do not satisfy global.json ($(jq -r .sdk.version "$repo/global.json")): $(dotnet --list-sdks 2>/dev/null | cut -d' ' -f1 | xargs)"
    fi
    step ".NET 10 SDK from packages.microsoft.com" microsoft_feed ||
        step ".NET 10 SDK into ~/.dotnet" dotnet_folder ||
        die "no .NET 10 SDK could be installed; see https://dotnet.microsoft.com/download"
    [ -x "$HOME/.dotnet/dotnet" ] && ! command -v dotnet >/dev/null && export DOTNET_ROOT="$HOME/.dotnet" PATH="$HOME/.dotnet:$PATH"
    dotnet_ok >/dev/null || die "dotnet is installed but does not start: $(cd "$repo" && dotnet --version 2>&1 | head -n 3)"
fi
