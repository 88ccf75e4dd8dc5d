#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the one native binary, artifacts/kvmsharp.
#
#   scripts/build.sh [--mode auto|aot10|aot9|r2r] [--force] [--print-mode]
#
#   auto    the first of the following whose packs the package registry serves; remembered per SDK version
#   aot10   NativeAOT of .NET 10
#   aot9    NativeAOT of .NET 9, packs pinned (the code is the same; it uses no API newer than .NET 9)
#   r2r     ReadyToRun on .NET 10, runtime and all in one file: starts slower and needs more memory
#
# Does nothing when nothing changed since the last build; --force builds regardless and forgets what was remembered.
# Debian packages it needs: gcc libc6-dev make (the shims, and as linker driver), binutils (objcopy), and for the AOT modes zlib1g-dev;
# the .NET 10 SDK. clang is used as linker driver instead of gcc when CPP_LINKER=clang says so.
# Only artifacts/kvmsharp is needed to run; artifacts/kvmsharp.dbg holds its symbols for debuggers and perf.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/lib/common.sh

mode=auto force=0 print=0
usage() { sed -n '4,6s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
    case "$1" in
        --mode) [ $# -gt 1 ] || { echo "build.sh: --mode needs a value: auto, aot10, aot9 or r2r" >&2; exit 2; }; mode=$2; shift ;;
        --mode=*) mode=${1#*=} ;;
        --force) force=1 ;;
        --print-mode) print=1 ;;
        -h|--help) usage; exit 0 ;;
        *) echo "build.sh: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
case "$mode" in auto|aot10|aot9|r2r) ;; *) echo "build.sh: --mode must be auto, aot10, aot9 or r2r, not '$mode'" >&2; exit 2 ;; esac
command -v dotnet >/dev/null || { echo "build.sh: no dotnet; scripts/install-deps.sh installs the .NET 10 SDK" >&2; exit 1; }

# The linker step that .NET brings along leaves paths unquoted.
if [[ $mode != r2r && $PWD = *[[:space:]]* ]]; then echo "build.sh: NativeAOT cannot be linked below a path with a space: move the repository away from '$PWD'" >&2; exit 1; fi

readonly net9_packs=9.0.22
state=artifacts/build-state
mkdir -p "$state"
exec 9>"$state/lock"; flock 9

sdk=$(dotnet --version)
chosen="$state/mode-$sdk"
[ "$force" = 0 ] || rm -f "$chosen" "$state/stamp"

# Everything the binary is made of. A changed list (a file removed) counts as well as a newer file.
inputs() {
    find src native-shims -type d \( -name bin -o -name obj \) -prune -o -type f ! -name packages.lock.json -printf '%T@ %s %p\n'
    stat -c '%.Y %s %n' Directory.Build.props Directory.Packages.props global.json scripts/build.sh
    echo "$sdk ${CPP_LINKER:-}"
}
fingerprint() { inputs | sort | sha256sum | cut -c1-32; }

describe() {
    case "$1" in
        aot10) echo ".NET 10 NativeAOT" ;;
        aot9) echo ".NET 9 NativeAOT (packs $net9_packs)" ;;
        r2r) echo "ReadyToRun on .NET 10, self-contained" ;;
    esac
}

# Relocations in their short form (DT_RELR), which libc understands since 2.36; an older one does not start such a program.
has_short_relocations() { printf '%s\n' "glibc 2.36" "$(getconf GNU_LIBC_VERSION 2>/dev/null)" | sort -CV; }

properties() {
    local linker=${CPP_LINKER:-}
    if [ -z "$linker" ]; then linker=gcc; command -v gcc >/dev/null || linker=clang; fi
    ! has_short_relocations || printf -- '-p:KvmSharpShortRelocations=true '
    case "$1" in
        aot10) echo "-p:KvmSharpNative=aot -p:KvmSharpFramework=net10.0 -p:KvmSharpLinker=$linker" ;;
        aot9) echo "-p:KvmSharpNative=aot -p:KvmSharpFramework=net9.0 -p:KvmSharpPackVersion=$net9_packs -p:KvmSharpLinker=$linker" ;;
        r2r) echo "-p:KvmSharpNative=r2r -p:KvmSharpFramework=net10.0" ;;
    esac
}

# Returns 1 when the registry does not serve what the mode needs, 2 when the build itself fails: that is an error to see, not a
# reason to ship something slower. Leaves the reason in $state/why.
build() {
    local log="$state/$1.log" out="$state/publish-$1" attempt
    local -a props
    read -ra props <<<"$(properties "$1")"
    # The lock is not handed on (9>&-): the compiler servers that dotnet leaves running would hold it for minutes.
    # Only a restore that failed for the network's sake is worth another try.
    for attempt in 1 2 3; do
        if dotnet restore src/KvmSharp.Cli/KvmSharp.Cli.csproj -v q "${props[@]}" >"$log" 2>&1 9>&-; then break; fi
        if [ "$attempt" = 3 ] || grep -Eq 'NU1101|NU1102|NU1103|NU1202|NETSDK' "$log"; then
            { grep -oE '(NU|NETSDK|MSB)[0-9]+: .*' "$log" || tail -n 1 "$log"; } | head -n 1 | sed 's| \[[^]]*\]$||; s|\. No packages exist.*||' | cut -c1-200 >"$state/why"
            return 1
        fi
        sleep $((attempt * 3))
    done
    rm -rf "$out"
    if ! dotnet publish src/KvmSharp.Cli/KvmSharp.Cli.csproj -c Release -v q --no-restore -o "$out" "${props[@]}" >"$log" 2>&1 9>&-; then
        { grep -oE 'error [A-Z]*[0-9]*: .*|undefined reference.*|cannot find .*' "$log" || tail -n 1 "$log"; } | head -n 1 | sed 's| \[[^]]*\]$||; s|\. No packages exist.*||' | cut -c1-200 >"$state/why"
        return 2
    fi
    rm -f artifacts/kvmsharp.dbg
    [ ! -f "$out/kvmsharp.dbg" ] || mv -f "$out/kvmsharp.dbg" artifacts/kvmsharp.dbg
    verify "$out" || return 2
    # Renamed into place: a running kvmsharp keeps its file.
    mv -f "$out/kvmsharp" artifacts/kvmsharp
    rm -rf "$out"
}

# One file, that needs nothing beside it: only libraries of libc's own family, no shared object published.
verify() {
    local extra
    extra=$(find "$1" -type f ! -name kvmsharp -printf '%f ')
    [ -z "$extra" ] || { echo "not one file: $extra" >"$state/why"; return 1; }
    extra=$(ldd "$1/kvmsharp" 2>&1 | awk '{print $1}' | grep -vE '^(linux-vdso|libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux-x86-64|/lib64/ld-linux-x86-64)(\.so|$)' | grep -v 'statically' | tr '\n' ' ') || true
    [ -z "$extra" ] || { echo "needs other libraries: $extra" >"$state/why"; return 1; }
}

try=("$mode")
if [ "$mode" = auto ]; then
    if [ -s "$chosen" ]; then try=("$(cut -d'|' -f1 "$chosen")"); else try=(aot10 aot9 r2r); fi
fi

if [ "$print" = 1 ]; then
    [ -s "$chosen" ] && cut -d'|' -f1 "$chosen" || echo undecided
    exit 0
fi

now=$(fingerprint)
if [ -x artifacts/kvmsharp ] && [ -s "$state/stamp" ]; then
    read -r built_mode built_from <"$state/stamp"
    if [ "$built_from" = "$now" ] && [ "$built_mode" = "${try[0]}" ]; then
        echo "build.sh: artifacts/kvmsharp is up to date: $(describe "$built_mode")"
        exit 0
    fi
fi

skipped=
for m in "${try[@]}"; do
    echo "build.sh: building artifacts/kvmsharp with $(describe "$m") ..."
    result=0; build "$m" || result=$?
    if [ "$result" = 0 ]; then
        why=${skipped:-"the first choice"}
        [ "$mode" = auto ] && [ -s "$chosen" ] && why=$(cut -d'|' -f2- "$chosen")
        [ "$mode" = auto ] || why="asked for"
        [ "$mode" != auto ] || echo "$m|$why" >"$chosen"
        echo "$m $now" >"$state/stamp"
        echo "build.sh: artifacts/kvmsharp: $(describe "$m"), $(($(stat -c %s artifacts/kvmsharp) / 1024)) KiB; why: $why"
        exit 0
    fi
    reason=$(cat "$state/why" 2>/dev/null || echo unknown)
    if [ "$result" = 2 ]; then
        echo "build.sh: $(describe "$m"): the build failed: $reason; the whole log: $state/$m.log" >&2
        exit 1
    fi
    echo "build.sh: $(describe "$m") does not work here: $reason" >&2
    skipped="$skipped${skipped:+; }$m: $reason"
done
echo "build.sh: no way to build; logs are in $state" >&2
# What was remembered may be out of date (a registry changed): decide anew next time.
rm -f "$chosen"
exit 1
