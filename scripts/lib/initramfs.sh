# Sourced: small initramfs archives (static busybox, an /init, some modules), cached by the hash of what is in them.
# shellcheck shell=bash

busybox_static() {
    local candidate
    for candidate in /bin/busybox /usr/bin/busybox /usr/lib/initramfs-tools/bin/busybox; do
        if [ -x "$candidate" ] && ! ldd "$candidate" >/dev/null 2>&1; then echo "$candidate"; return; fi
    done
    die "no static busybox: run scripts/install-deps.sh"
}

# pack_initramfs NAME INIT KERNEL_DIR|- "MODULE..." [SOURCE=TARGET...]: prints the archive's path. Not compressed: an emulated
# CPU unpacks slowly, and the loader copies it either way.
pack_initramfs() {
    local name=$1 init=$2 kernel=$3 modules=$4 key target work pair
    shift 4
    local busybox
    busybox=$(busybox_static)
    key=$({
        cat "$repo/scripts/lib/initramfs.sh" "$init" "$busybox"
        [ "$kernel" = - ] || cat "$kernel/version"
        echo "$modules" "$@"
        for pair in "$@"; do cat "${pair%%=*}"; done
    } | sha256sum | cut -c1-16)
    target=$cache/initramfs/$name-$key.cpio
    if [ ! -e "$target" ]; then
        mkdir -p "$cache/initramfs"
        work=$(mktemp -d "$cache/initramfs/.new.XXXXXX")
        mkdir -p "$work/root"/{bin,dev,proc,sys,tmp,run,mnt,newroot,modules}
        cp "$busybox" "$work/root/bin/busybox"
        cp "$init" "$work/root/init"
        chmod 755 "$work/root/init" "$work/root/bin/busybox"
        for pair in "$@"; do
            mkdir -p "$work/root/$(dirname -- "${pair#*=}")"
            cp "${pair%%=*}" "$work/root/${pair#*=}"
        done
        : >"$work/root/modules/order"
        # shellcheck disable=SC2086
        [ "$kernel" = - ] || kernel_modules "$kernel" "$work/root/modules" $modules >"$work/root/modules/order"
        (cd "$work/root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible) >"$work/image"
        mv "$work/image" "$target"
        rm -rf "$work"
    fi
    echo "$target"
}

# With a kernel and no modules: those every guest test wants (power button, panic notice).
guest_initramfs() { # [SERIES FLAVOUR [MODULE...]]
    if [ $# = 0 ]; then
        pack_initramfs guest "$repo/scripts/lib/guest-init" - ""
    else
        local kernel
        kernel=$(kernel_dir "$1" "$2")
        shift 2
        [ $# -gt 0 ] || set -- $(cat "$repo/scripts/lib/guest-modules")
        pack_initramfs "guest-$(cat "$kernel/version")" "$repo/scripts/lib/guest-init" "$kernel" "$*"
    fi
}

# With the tools of guest-tools.sh and every module of lib/guest-modules and lib/guest-tools-modules besides those named.
tools_initramfs() { # SCRIPT|'' SERIES FLAVOUR [MODULE...]
    local script=$1 kernel image key work target files
    kernel=$(kernel_dir "$2" "$3")
    shift 3
    files=$(guest_tool_files) || exit
    # shellcheck disable=SC2046,SC2086
    image=$(pack_initramfs "tools-$(cat "$kernel/version")" "$repo/scripts/lib/guest-init" "$kernel" \
        "$(cat "$repo/scripts/lib/guest-modules" "$repo/scripts/lib/guest-tools-modules" | xargs) $*" $files)
    if [ -n "$script" ]; then
        [ -f "$script" ] || die "no script $script"
        key=$(sha256sum <"$script" | cut -c1-16)
        target=${image%.cpio}-$key.script.cpio
        if [ ! -e "$target" ]; then
            # Each is as large as the tools: those of scripts that changed since must not pile up.
            find "$cache/initramfs" -name '*.script.cpio' -mmin +1440 -delete
            work=$(mktemp -d "$cache/initramfs/.new.XXXXXX")
            install -m 755 "$script" "$work/script"
            # A second archive, which the kernel unpacks over the first.
            { cat "$image"; (cd "$work" && echo script | cpio --quiet -o -H newc -R 0:0 --reproducible); } >"$work/image"
            mv "$work/image" "$target"
            rm -rf "$work"
        fi
        touch "$target"
        image=$target
    fi
    echo "$image"
}

# An initramfs that mounts a disk and starts what is on it. Its /modules are those a disk needs (first line of root-modules); /modules.tar
# has these and the others in there as the root file system's /lib/modules shall have them, with their index.
root_initramfs() { # SERIES FLAVOUR
    local kernel version early all tar key work
    kernel=$(kernel_dir "$1" "$2")
    version=$(cat "$kernel/version")
    early=$(head -n 1 "$repo/scripts/lib/root-modules")
    all=$(xargs <"$repo/scripts/lib/root-modules")
    key=$({ cat "$repo/scripts/lib/initramfs.sh"; echo "$version $all"; } | sha256sum | cut -c1-16)
    tar=$cache/initramfs/modules-$version-$key.tar
    if [ ! -e "$tar" ]; then
        mkdir -p "$cache/initramfs"
        work=$(mktemp -d "$cache/initramfs/.new.XXXXXX")
        # shellcheck disable=SC2086
        kernel_modules "$kernel" "$work/lib/modules/$version/kernel" $all >/dev/null
        cp "$kernel/root/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$work/lib/modules/$version/"
        depmod -b "$work" "$version"
        tar -C "$work/lib/modules" --owner=0 --group=0 -cf "$work/tar" "$version"
        mv "$work/tar" "$tar"
        rm -rf "$work"
    fi
    pack_initramfs "root-$version" "$repo/scripts/lib/root-init" "$kernel" "$early" "$tar=modules.tar"
}
