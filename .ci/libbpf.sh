#!/usr/bin/env bash
# Builds libbpf from Debian trixie's source package once, in the cache, and links it into the checkout:
#   build/lib/libbpf.so.1     the shared library that the agent loads
#   build/include/bpf/*.h     the headers that the BPF objects are compiled with
# Debian 12's own libbpf is too old, and trixie's binary needs a newer glibc than Debian 12 has. Prints the library.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=.ci/assets.sh
. "$here/assets.sh"

version=1.5.0

build() { # TMP
  local tmp="$1" source
  archive_update
  say "building libbpf $version"
  (cd "$tmp" && archive apt-get source --download-only "libbpf" >"$tmp/log" 2>&1) ||
    fail "cannot download libbpf's source package" "$(tail -n 2 "$tmp/log" | tr '\n' ' ')" "check the network, then run again"
  # apt has checked the files against the signed archive.
  dpkg-source --no-check -x "$tmp"/libbpf_*.dsc "$tmp/source" >>"$tmp/log"
  grep -q "^libbpf ($version" "$tmp/source/debian/changelog" ||
    say "note: the archive has $(head -n 1 "$tmp/source/debian/changelog") instead of $version"
  source="$tmp/source/src"
  make -C "$source" -j"$(nproc)" BUILD_STATIC_ONLY= CFLAGS='-g -O2 -fPIC' OBJDIR="$tmp/objects" >>"$tmp/log" 2>&1 ||
    fail "libbpf does not build" "$(grep -m1 -i error "$tmp/log")" "make setup"
  make -C "$source" OBJDIR="$tmp/objects" DESTDIR="$tmp" INCLUDEDIR=/include install_headers >>"$tmp/log" 2>&1
  mkdir "$tmp/lib"
  cp -L "$tmp/objects/libbpf.so.1" "$tmp/lib/libbpf.so.1"
  cp "$tmp/source/LICENSE.LGPL-2.1" "$tmp/source/LICENSE.BSD-2-Clause" "$tmp/lib/"
  rm -rf "${tmp:?}"/{source,objects} "$tmp"/libbpf_*
}

# link TARGET LINK : atomic, so that a run beside this one never sees the link missing.
link() {
  [ "$(readlink "$2" 2>/dev/null || true)" = "$1" ] && return
  mkdir -p "$(dirname "$2")"
  [ ! -d "$2" ] || [ -L "$2" ] || rm -rf "$2"
  ln -sfn "$1" "$2.$$"
  mv -Tf "$2.$$" "$2"
}

# The C library is part of the key: a shared library built with a newer one would not load in an older system.
key=$(content_key "$(cat "${BASH_SOURCE[0]}")" "$(uname -m)" "$(ldd --version | head -n 1)")
dir=$(asset "libbpf-$version-$key" build)
link "$dir/lib/libbpf.so.1" "$root/build/lib/libbpf.so.1"
link "$dir/include/bpf" "$root/build/include/bpf"
printf '%s\n' "$root/build/lib/libbpf.so.1"
