#!/usr/bin/env bash
# Puts into build/vm/image what the image's suite needs inside the virtual machine: the image's file system, the
# rendered manifests, and from Debian trixie a container runtime (crun) with the seccomp profile that `RuntimeDefault`
# is on nodes with CRI-O. `make image` and `make manifests` come before.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
# shellcheck source=.ci/assets.sh
. "$root/.ci/assets.sh"

suite=trixie
packages=(crun golang-github-containers-common libcap2 libseccomp2 libsystemd0 libyajl2)

build() { # TMP
  archive_update
  say "downloading ${packages[*]} of Debian $suite"
  (cd "$1" && archive apt-get download "${packages[@]/%//$suite}" >download.log 2>&1) ||
    fail "cannot download ${packages[*]}" "$(tail -n 2 "$1/download.log" | tr '\n' ' ')" "check the network, then run again"
  mkdir "$1/tree" "$1/lib"
  for deb in "$1"/*.deb; do dpkg-deb -x "$deb" "$1/tree"; done
  mv "$1/tree/usr/bin/crun" "$1/tree/usr/share/containers/seccomp.json" "$1/"
  cp -L "$1"/tree/usr/lib/*-linux-gnu/lib{cap,seccomp,systemd,yajl}.so.* "$1/lib/"
  rm -rf "${1:?}/tree" "$1"/*.deb
}

rootfs="$root/build/image/rootfs"
manifests="$root/build/manifests/no-cert-manager.yaml"
[ -d "$rootfs" ] || fail "no image" "$rootfs is missing" "make image"
[ -f "$manifests" ] || fail "no rendered manifests" "$manifests is missing" "make manifests"

dir=$(asset "container-runtime-$suite-$(content_key "$(cat "${BASH_SOURCE[0]}")")" build)
out="$root/build/vm/image"
rm -rf "$out"
mkdir -p "$out"
cp -r "$dir"/{crun,seccomp.json,lib} "$out/"
cp "$manifests" "$out/manifests.yaml"
tar -C "$rootfs" -cf "$out/rootfs.tar" .
