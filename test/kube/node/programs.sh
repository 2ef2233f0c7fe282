#!/usr/bin/env bash
# programs.sh : prints the directory of what a node needs beside kubelet and kube-proxy, from Debian trixie's packages:
#   tree/        containerd, runc and CNI plugins, as a part of the guest's root file system
#   busybox.tar  the image docker.io/library/busybox:test, which also serves as the sandbox of every pod
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../../.ci/assets.sh"

# containerd 1.7 is the last that speaks the CRI version of the kubelet that Debian's source makes.
packages=(containerd runc containernetworking-plugins busybox-static libseccomp2)
used=(
  usr/bin/containerd usr/bin/containerd-shim-runc-v2 usr/bin/ctr usr/sbin/runc
  usr/lib/cni/ptp usr/lib/cni/host-local usr/lib/cni/loopback usr/lib/x86_64-linux-gnu
)

# image TMP NAME TREE CMD : a docker archive of one layer.
image() {
  local tmp="$1" name="$2" tree="$3" command="$4" layer
  mkdir "$tmp/image"
  tar -C "$tree" --owner=0 --group=0 --sort=name --mtime=@0 -cf "$tmp/image/layer.tar" .
  layer=$(sha256sum "$tmp/image/layer.tar" | cut -d' ' -f1)
  printf '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/bin"],"Cmd":[%s]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$command" "$layer" >"$tmp/image/config.json"
  printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$name" >"$tmp/image/manifest.json"
  tar -C "$tmp/image" -cf "$tmp/busybox.tar" .
  rm -r "$tmp/image"
}

build() { # TMP
  local tmp="$1" deb applet
  archive_update
  say "downloading ${packages[*]}"
  (cd "$tmp" && archive apt-get download "${packages[@]/%//trixie}" >download.log 2>&1) ||
    fail "cannot download ${packages[*]}" "$(tail -n 2 "$tmp/download.log" | tr '\n' ' ')" "check the network, then run again"
  for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp/all"; done
  mkdir -p "$tmp/tree" "$tmp/busybox"/{bin,dev,etc,proc,sys,tmp}
  tar -C "$tmp/all" -c "${used[@]}" | tar -C "$tmp/tree" -x
  cp "$tmp/all/usr/bin/busybox" "$tmp/busybox/bin/"
  for applet in $("$tmp/all/usr/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$tmp/busybox/bin/$applet"
  done
  image "$tmp" docker.io/library/busybox:test "$tmp/busybox" '"sleep","2147483647"'
  rm -rf "$tmp"/*.deb "$tmp/all" "$tmp/busybox"
}

dir=$(asset "node-programs-$(content_key "$(cat "${BASH_SOURCE[0]}")")" build)
printf '%s\n' "$dir"
