#!/usr/bin/env bash
# peers.sh : prints a directory in the cache with the public sched_ext schedulers that the bench compares with, building
# those that are missing from crates.io (minutes each, at the lowest priority). One that does not build is left out with
# a line on stderr, and tried again after a day; the exit code is 0 even when there is none at all.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"
# shellcheck source=.ci/packages.sh
. "$here/../../.ci/packages.sh"

# crate=version
peers=(
  scx_bpfland=1.1.4
  scx_cosmos=1.1.7
  scx_flash=1.1.4
  scx_lavd=1.1.4
  scx_layered=1.1.4
)
# What these versions ask for.
rust_needed=1.91
clang_needed=18

# at_least WANTED VERSION
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The major version of a clang, 0 when there is none.
clang_major() { "$1" --version 2>/dev/null | sed -n '1s/.*clang version \([0-9]*\).*/\1/p' | grep . || echo 0; }

# Debian 12's clang-16 is too old for the peers, and a newer one beside it would become the compiler of bpf/ as well:
# so a private copy.
fetch_clang() { # TMP
  local packages=(clang-19 libclang-cpp19 libclang-common-19-dev libclang1-19 libllvm19)
  cd "$1" || return 1
  say "downloading clang-19 for the peers (90 MB)"
  { apt-get -q download "${packages[@]}" || { as_root apt-get -q update && apt-get -q download "${packages[@]}"; }; } \
    >log 2>&1 || { say "peers: no clang-19: $(grep -m 1 '^E:' log)"; return 1; }
  for deb in ./*.deb; do dpkg-deb -x "$deb" . || return 1; done
  rm ./*.deb
  mv usr/lib/*-linux-gnu lib && ln -s ../../lib "usr/lib/$(uname -m)-linux-gnu" || return 1
  cat >clang <<'SCRIPT'
#!/bin/sh
dir=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$dir/lib" exec "$dir/usr/lib/llvm-19/bin/clang" "$@"
SCRIPT
  chmod +x clang
  [ "$(clang_major ./clang)" -ge "$clang_needed" ]
}

# Prints the clang that compiles the peers' BPF programs. A private one has its libclang beside it, in lib.
peer_clang() {
  local name dir
  for name in clang clang-21 clang-20 clang-19 clang-18; do
    [ "$(clang_major "$name")" -lt "$clang_needed" ] || { command -v "$name"; return; }
  done
  dir=$(asset "clang-$(content_key "$(declare -f fetch_clang)" "$(debian_version)")" fetch_clang) &&
    printf '%s/clang\n' "$dir"
}

# Sets bpf_clang. Status 1, with a line that says why, when nothing can be built here.
check_toolchain() {
  local version
  version=$(cargo --version 2>/dev/null | cut -d' ' -f2)
  if [ -z "$version" ] || ! at_least "$rust_needed" "$version"; then
    say "peers: not built: they need cargo and rustc $rust_needed or newer, this machine has ${version:-none}"
    return 1
  fi
  bpf_clang=$(peer_clang) || { say "peers: not built: they need clang $clang_needed or newer"; return 1; }
}

# The guest has these libraries. The C library's symbols are no newer than this machine's.
foreign_libraries() { # EXECUTABLE
  readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
    grep -vE '^(libc|libm|libgcc_s|libelf|libz|ld-linux-x86-64)\.so' | tr '\n' ' '
}

build_peer() { # TMP CRATE VERSION
  local tmp="$1" crate="$2" version="$3" started=$SECONDS foreign libraries
  libraries="$(dirname "$bpf_clang")/lib"
  [ ! -d "$libraries" ] || export LIBCLANG_PATH="$libraries" LD_LIBRARY_PATH="$libraries"
  say "building $crate $version"
  # Without link-time optimisation: what schedules is the BPF program, which is the same either way.
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_TERM_COLOR=never BPF_CLANG="$bpf_clang" \
    nice -n 19 cargo install --locked --jobs 2 --root "$tmp" --target-dir "$target_dir" "$crate@$version" \
    >"$log.new" 2>&1 || return 1
  foreign=$(foreign_libraries "$tmp/bin/$crate")
  [ -z "$foreign" ] || { echo "error: it needs libraries that the guest lacks: $foreign" >>"$log.new"; return 1; }
  mv "$tmp/bin/$crate" "$tmp/$crate" && rm -rf "${tmp:?}/bin" "$tmp"/.crates* || return 1
  say "$crate $version built in $((SECONDS - started)) s"
}

collect() { # TMP DIR...
  local tmp="$1" dir
  shift
  for dir in "$@"; do cp "$dir"/scx_* "$tmp/" || return 1; done
}

mkdir -p "$scx_cache/lock"
# One run at a time: they share the folder that cargo builds in, because the peers have most crates in common.
exec {peers_lock}>"$scx_cache/lock/peers"
flock "$peers_lock"
target_dir="$scx_cache/.peers-target"
bpf_clang=
built=()
for peer in "${peers[@]}"; do
  crate="${peer%=*}"
  name="peer-$crate-$(content_key "$peer" "$(declare -f build_peer)" "$(ldd --version | head -n 1)")"
  log="$scx_cache/$name.failed"
  if [ ! -d "$scx_cache/$name" ]; then
    if [ -n "$(find "$log" -mtime -1 2>/dev/null)" ]; then
      say "peers: $crate did not build within the last day; $log says why, delete it to try again now"
      continue
    fi
    [ -n "$bpf_clang" ] || check_toolchain || bpf_clang=none
    [ "$bpf_clang" != none ] || continue
  fi
  if dir=$(asset "$name" build_peer "$crate" "${peer#*=}"); then
    built+=("$dir")
    rm -f "$log" "$log.new"
  else
    mv "$log.new" "$log"
    say "peers: $crate ${peer#*=} does not build: $(grep -m 1 '^error' "$log"), see $log"
  fi
done
rm -rf "$target_dir"
exec {peers_lock}>&-
asset "peers-$(content_key "${built[@]}")" collect "${built[@]}"
