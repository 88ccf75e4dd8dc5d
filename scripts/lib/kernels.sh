# Sourced: stock Debian kernels, downloaded through apt and unpacked (never installed) below the cache.
# shellcheck shell=bash

# Debian's meta-packages of one kernel series and flavour, in the order to try. 6.12 is offered for Debian 12 by its
# security archive, for Debian 13 as that release's own.
kernel_metapackages() { # SERIES FLAVOUR
    case $1-$2 in
        6.1-cloud) echo linux-image-cloud-amd64 ;;
        6.1-generic) echo linux-image-amd64 ;;
        6.12-cloud) echo linux-image-6.12-cloud-amd64 linux-image-cloud-amd64 ;;
        6.12-generic) echo linux-image-6.12-amd64 linux-image-amd64 ;;
        *) die "unknown kernel: $1 $2 (6.1 or 6.12, cloud or generic)" ;;
    esac
}

# The newest real package behind the meta-packages: its name has the full kernel version in it.
kernel_resolve() { # SERIES FLAVOUR [apt options...]
    local series=$1 flavour=$2 meta found
    shift 2
    for meta in $(kernel_metapackages "$series" "$flavour"); do
        found=$(apt-cache "$@" show --no-all-versions "$meta" 2>/dev/null |
            sed -n 's/^Depends:.*\(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
        case $found in "linux-image-$series".*) echo "$found"; return 0 ;; esac
    done
    return 1
}

# An apt of our own that sees Debian 12 only, for hosts of another release or distribution. Needs no root.
kernel_private_apt() {
    local root=$cache/apt keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keyring" ] || die "no Debian keyring at $keyring: install debian-archive-keyring"
    mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/etc"
    cat >"$root/etc/sources.list" <<LIST
deb [arch=amd64 signed-by=$keyring] http://deb.debian.org/debian bookworm main
deb [arch=amd64 signed-by=$keyring] http://deb.debian.org/debian-security bookworm-security main
LIST
    : >"$root/status"
    kernel_apt_options=(
        -o "Dir::Etc::sourcelist=$root/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$root/lists" -o "Dir::State::status=$root/status"
        -o "Dir::Cache=$root" -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o Debug::NoLocking=1
        -o APT::Sandbox::User=
    )
    retry apt-get "${kernel_apt_options[@]}" -qq -o Acquire::Retries=3 update
}

# The ELF image inside a bzImage, which is what a PVH loader takes (Linux boot protocol, payload_offset and
# payload_length of the setup header, x86/boot.rst). The last four payload bytes are the size, not compressed data.
extract_vmlinux() { # BZIMAGE OUTPUT
    local sectors offset length magic start
    field() { od -An -v -t "u$3" -j "$(($2))" -N "$3" "$1" | tr -d ' '; }
    [ "$(od -An -c -j 514 -N 4 "$1" | tr -d " ")" = HdrS ] || die "$1 is no bzImage"
    sectors=$(field "$1" 0x1f1 1)
    [ "$sectors" != 0 ] || sectors=4
    offset=$(field "$1" 0x248 4)
    length=$(field "$1" 0x24c 4)
    start=$(((sectors + 1) * 512 + offset))
    magic=$(od -An -v -t x1 -j "$start" -N 4 "$1" | tr -d ' ')
    payload() { head -c "$((start + length - 4))" "$1" | tail -c "$((length - 4))"; }
    case $magic in
        28b52ffd) payload "$1" | zstd -q -d -c >"$2" ;;
        fd377a58) payload "$1" | xz -d -c >"$2" ;;
        02214c18) payload "$1" | lz4 -q -d -c >"$2" ;;
        1f8b*) payload "$1" | gzip -d -c >"$2" ;;
        *) die "unknown compression ($magic) in $1" ;;
    esac
}

kernel_unpack() { # SERIES FLAVOUR: called under the cache lock
    local series=$1 flavour=$2 target=$cache/kernels/$1-$2 package work version
    [ -e "$target/version" ] && return 0
    mkdir -p "$cache/kernels"
    kernel_apt_options=()
    if ! package=$(kernel_resolve "$series" "$flavour"); then
        step "package lists of Debian 12 for kernel $series" kernel_private_apt
        # kernel_private_apt ran in a process of its own: rebuild its options here (lists are there by now).
        kernel_private_apt >/dev/null 2>&1 || true
        package=$(kernel_resolve "$series" "$flavour" "${kernel_apt_options[@]}") ||
            die "no Debian kernel $series $flavour can be found with apt (try: apt-get update)"
    fi
    work=$(mktemp -d "$cache/kernels/.new.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    (cd "$work" && step "downloading $package" retry apt-get ${kernel_apt_options[@]+"${kernel_apt_options[@]}"} \
        -qq -o Acquire::Retries=3 -o APT::Sandbox::User= download "$package") ||
        die "cannot download $package (stale package lists? try: apt-get update)"
    step "unpacking $package" sh -c "dpkg -x '$work'/*.deb '$work/root' && rm -f '$work'/*.deb"
    version=${package#linux-image-}
    mkdir "$work/kernel"
    cp "$work/root/boot/vmlinuz-$version" "$work/kernel/vmlinuz"
    cp "$work/root/boot/config-$version" "$work/kernel/config"
    mkdir -p "$work/kernel/root/lib"
    mv "$work"/root/lib/modules "$work/kernel/root/lib/" 2>/dev/null || mv "$work"/root/usr/lib/modules "$work/kernel/root/lib/"
    extract_vmlinux "$work/kernel/vmlinuz" "$work/kernel/vmlinux"
    depmod -b "$work/kernel/root" "$version"
    chmod -R a+rX "$work/kernel"
    echo "$version" >"$work/kernel/version"
    rm -rf "$target"
    mv "$work/kernel" "$target"
    rm -rf "$work"
    trap - EXIT
}

# Prints the folder of a kernel: vmlinuz (bzImage), vmlinux (ELF with the PVH note), config, version, root/lib/modules.
kernel_dir() { # SERIES FLAVOUR
    [ -e "$cache/kernels/$1-$2/version" ] || with_cache_lock kernel_unpack "$1" "$2" >&2
    echo "$cache/kernels/$1-$2"
}

# Copies modules with all they need into DIR as plain .ko files and prints their names in the order to insert them.
kernel_modules() { # KERNEL_DIR DESTINATION MODULE...
    local kernel=$1 destination=$2 version name line path base
    shift 2
    version=$(cat "$kernel/version")
    mkdir -p "$destination"
    declare -A seen=()
    for name in "$@"; do
        while read -r line; do
            case $line in insmod\ *) ;; *) continue ;; esac
            path=${line#insmod }
            path=${path%% *}
            base=${path##*/}
            base=${base%.xz}
            base=${base%.zst}
            [ -z "${seen[$base]:-}" ] || continue
            seen[$base]=1
            case $path in
                *.xz) xz -d -c "$path" >"$destination/$base" ;;
                *.zst) zstd -q -d -c "$path" >"$destination/$base" ;;
                *) cp "$path" "$destination/$base" ;;
            esac
            echo "$base"
        done < <(modprobe -d "$kernel/root" -S "$version" --show-depends "$name" 2>/dev/null || echo "missing $name" >&2)
    done
}
