# Sourced: programs of this machine with the libraries they load, in a form that a guest's initramfs takes.
# shellcheck shell=bash

guest_tools=(bash fio iperf3 ethtool mkfs.ext4 e2fsck resize2fs blkdiscard ip tc bridge ping)

# Back ends of fio that no guest has a peer for. Their libraries bring 70 MB, which a guest would have to unpack into memory.
guest_tools_without=(librbd.so.1 librados.so.2 libgfapi.so.0 libnbd.so.0 libibverbs.so.1 librdmacm.so.1 libpmem.so.1 libpmemblk.so.1)

# A library of the same name and symbols, as far as the program asks for them; calling one ends the program.
stand_in_library() { # PROGRAM LIBRARY OUTPUT
    local symbols versions
    symbols=$(nm -D --undefined-only "$1" | awk '{ print $2 }' | awk -F@ 'NR == FNR { exported[$1] = 1; next } $1 in exported' \
        <(nm -D --defined-only "$2" | awk '{ sub(/@.*/, "", $3); print $3 }') -)
    versions=$(awk -F@ '$2 != "" { list[$2] = list[$2] $1 "; " } END { for (version in list) print version " { " list[version] "};" }' <<<"$symbols")
    echo "$versions" >"$3.versions"
    awk -F@ '{ print "void " $1 "(void) { __builtin_trap(); }" }' <<<"$symbols" |
        gcc -shared -fPIC -fno-builtin -nostdlib -w -Wl,-soname,"${2##*/}" ${versions:+-Wl,--version-script="$3.versions"} -o "$3" -x c - || die "cannot make a stand-in for $2"
    rm "$3.versions"
}

# Makes FOLDER: the stand-ins, and in the file "list" a SOURCE=TARGET line for everything that goes into an initramfs: tools below
# /tools/bin, libraries where their loader looks for them.
make_guest_tools() { # FOLDER
    local folder=$1 tool name library fio
    [ ! -e "$folder/list" ] || return 0
    mkdir -p "$folder"
    fio=$(command -v fio)
    {
        for name in "${guest_tools_without[@]}"; do
            library=$(ldd "$fio" | awk -v name="$name" '$1 == name { print $3 }')
            [ -n "$library" ] || continue
            stand_in_library "$fio" "$library" "$folder/$name"
            echo "$folder/$name=${library#/}"
        done
        for tool in "${guest_tools[@]}"; do
            echo "$(readlink -f "$(command -v "$tool")")=tools/bin/$tool"
            LD_LIBRARY_PATH=$folder ldd "$(command -v "$tool")" >>"$folder/loaded"
        done
        grep -o '/[^ ]*' "$folder/loaded" | grep -v "^$folder/" | sort -u | sed 's#^/\(.*\)#/\1=\1#'
        [ ! -e /etc/mke2fs.conf ] || echo "/etc/mke2fs.conf=etc/mke2fs.conf"
    } >"$folder/list.new"
    mv "$folder/list.new" "$folder/list"
}

guest_tool_files() { # prints the list
    local tool folder paths=()
    for tool in "${guest_tools[@]}"; do paths+=("$(command -v "$tool")") || die "no $tool here: run scripts/install-deps.sh"; done
    folder=$cache/tools-$(cat "$repo/scripts/lib/guest-tools.sh" "${paths[@]}" | sha256sum | cut -c1-16)
    with_cache_lock make_guest_tools "$folder"
    cat "$folder/list"
}
