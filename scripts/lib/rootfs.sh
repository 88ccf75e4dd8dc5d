# Sourced: raw images of a small Debian with systemd, made by make-rootfs, cached by the hash of what goes into them.
# shellcheck shell=bash

rootfs_build() { # SUITE IMAGE: called under the cache lock
    [ ! -e "$2" ] || return 0
    command -v mmdebstrap >/dev/null || die "no mmdebstrap: run scripts/install-deps.sh"
    ask_for_root "to make a Debian root file system"
    mkdir -p "${2%/*}"
    step "making a Debian $1 root file system (half a minute and more)" retry as_root "$repo/scripts/lib/make-rootfs" "$1" "$2" || return 1
    # Older ones of the suite are of no use any more.
    find "${2%/*}" -maxdepth 1 -name "debian-$1-*.img*" ! -path "$2" -delete
}

# Prints the path of an image. It is a sparse file for copying: nothing should write to it.
rootfs_image() { # [SUITE]
    local suite=${1:-bookworm} key image
    [[ $suite =~ ^[a-z]+$ ]] || die_status=2 die "a Debian suite is a word such as bookworm, not '$suite'"
    key=$(cd "$repo/scripts/lib" && find make-rootfs rootfs -type f | LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum | cut -c1-16)
    image=$cache/rootfs/debian-$suite-$key.img
    [ -e "$image" ] || with_cache_lock rootfs_build "$suite" "$image" >&2
    echo "$image"
}
