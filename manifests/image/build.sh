#!/usr/bin/env bash
# Builds the image with buildah from the Dockerfile beside this file, after `make build`:
#   build/image/scx-slo.tar      OCI archive: kind load image-archive, ctr images import, skopeo copy, podman load
#   build/image/rootfs/          its file system, unpacked (the virtual machine tests run it)
#   build/image/sbom.spdx.json   what is in it
#   build/image/name             its name: IMAGE (default scx-slo), version, and a key of what went in
# The Debian base is pulled where IMAGE_BASE=registry says so; otherwise it is made from the Debian archive and goes by
# the same name, so that the Dockerfile is the same and no registry is needed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=.ci/assets.sh
. "$root/.ci/assets.sh"
# shellcheck source=.ci/packages.sh
. "$root/.ci/packages.sh"

max_mb=200
base=docker.io/library/debian:trixie-slim
out="$root/build/image"

if [ "$(debian_version)" -ge 12 ]; then install_packages buildah; fi
command -v buildah >/dev/null || fail "no buildah" "it builds the image" "install buildah, then run again"

# A store of its own: the machine's images are not touched. vfs and chroot work in containers and without overlayfs.
# Fast enough: the image has two layers.
store="$scx_cache/buildah"
mkdir -p "$store" "$out"
b() { buildah --root "$store/storage" --runroot "$store/run" --storage-driver vfs "$@"; }
exec {store_lock}>"$store/lock"
flock "$store_lock"

quietly() { # LOG COMMAND...
  local log="$1"
  shift
  "$@" >"$log" 2>&1 || fail "buildah failed" "$(tail -n 3 "$log" | tr '\n' ' ')" "see $log"
}

import_base() {
  local tar key container
  tar=$("$here/base.sh")
  key=$(basename "$(dirname "$tar")")
  [ "$(b images --format '{{.ID}}' --filter "label=scx-slo.base=$key" 2>/dev/null | head -n 1)" = "" ] || return 0
  say "importing the base image"
  container=$(b from scratch)
  quietly "$out/base.log" b add "$container" "$tar" /
  b config --label "scx-slo.base=$key" --cmd bash "$container"
  quietly "$out/base.log" b commit --rm "$container" "$base"
}

context="$out/context"
say "staging"
key=$(node "$here/stage.ts" "$context")
version=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).version' "$root/package.json")
name="${IMAGE:-scx-slo}:$version-$key"
pull=(--pull-never)
if [ "${IMAGE_BASE:-}" = registry ]; then pull=(--pull); else import_base; fi

# One time for every file and layer, so that the digest depends on what is inside alone, cached layer or not.
timestamp=1767225600 # 2026-01-01
say "building $name"
quietly "$out/build.log" b build "${pull[@]}" --isolation chroot --layers --timestamp "$timestamp" \
  --label org.opencontainers.image.title=scx-slo \
  --label "org.opencontainers.image.version=$version" \
  --label "org.opencontainers.image.revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)" \
  --label org.opencontainers.image.licenses=GPL-2.0-or-later \
  -f "$here/Dockerfile" -t "$name" "$context"

rm -rf "$out/rootfs" "$out/scx-slo.tar"
mkdir "$out/rootfs"
container=$(b from --pull-never "$name")
cp -a "$(b mount "$container")/." "$out/rootfs/"
b umount "$container" >/dev/null
b rm "$container" >/dev/null
quietly "$out/push.log" b push "$name" "oci-archive:$out/scx-slo.tar:$name"
node "$here/sbom.ts" "$out/rootfs" "$name" >"$out/sbom.spdx.json"
printf '%s\n' "$name" >"$out/name"

bytes=$(du -sb "$out/rootfs" | cut -f1)
mb=$((bytes / 1000000))
[ "$mb" -le "$max_mb" ] || fail "the image is too large" "$mb MB, at most $max_mb MB are allowed" "du -a build/image/rootfs | sort -n | tail"
say "$name: $mb MB unpacked, $(($(stat -c %s "$out/scx-slo.tar") / 1000000)) MB as build/image/scx-slo.tar, $(b images --format '{{.Digest}}' "$name" | head -n 1)"
printf '%s\n' "$name"
