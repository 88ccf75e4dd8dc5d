# Sourced: Open vSwitch on DPDK from this distribution's packages, unpacked below the cache and never installed: installing it starts it.
# shellcheck shell=bash

openvswitch_packages=(openvswitch-common openvswitch-switch openvswitch-switch-dpdk)

openvswitch_unpack() { # FOLDER: called under the cache lock
    local target=$1 work
    [ ! -e "$target" ] || return 0
    work=$(mktemp -d "$cache/.openvswitch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    (cd "$work" && step "downloading ${openvswitch_packages[*]}" retry apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User= download "${openvswitch_packages[@]}") ||
        die "cannot download ${openvswitch_packages[*]} (stale package lists? try: apt-get update)"
    step "unpacking them" sh -c "for package in '$work'/*.deb; do dpkg -x \"\$package\" '$work/root' || exit; done"
    mkdir "$work/bin"
    cp "$work"/root/usr/bin/{ovsdb-tool,ovs-vsctl,ovs-appctl} "$work/root/usr/sbin/ovsdb-server" "$work/root/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk" \
        "$work/root/usr/share/openvswitch/vswitch.ovsschema" "$work/bin/"
    chmod -R a+rX "$work/bin"
    mv "$work/bin" "$target"
    rm -rf "$work"
    trap - EXIT
}

# Prints the folder with its programs and the schema of its database.
openvswitch_dir() {
    [ -e "$cache/openvswitch" ] || with_cache_lock openvswitch_unpack "$cache/openvswitch" >&2
    echo "$cache/openvswitch"
}
