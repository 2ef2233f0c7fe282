#!/usr/bin/env bash
# kernel.sh ABI : prints the directory of Debian's cloud kernel ABI (6.16.12+deb13), fetching it when it is not cached:
#   vmlinuz, release (what `uname -r` will say), and what else the archive has of it: config, and modules.img (ext4
#   disk: the content of /lib/modules/<release>).
# A version that has left the archive is replaced by the newest of its series; `release` tells.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"

abi="${1:?usage: kernel.sh ABI}"

archived() { archive apt-cache pkgnames "$1" | grep -Fx "$1" >/dev/null; }

# Since 6.19 the kernel is in linux-binary-*, its modules in linux-modules-* and its configuration in linux-base-*;
# before, one package has all. The archive keeps linux-binary-* (signed, another source package) longer than the other
# two: 6.19 .. 7.1 have none.
packages_of() { # ABI
  local binary="linux-binary-$1-cloud-amd64" image="linux-image-$1-cloud-amd64" part
  if archived "$binary"; then
    printf '%s\n' "$binary"
    for part in modules base; do
      ! archived "linux-$part-$1-cloud-amd64" || printf '%s\n' "linux-$part-$1-cloud-amd64"
    done
  elif archived "$image"; then
    printf '%s\n' "$image"
  fi
}

newest_of_series() { # ABI
  local series
  series=$(cut -d. -f1,2 <<<"$1")
  archive apt-cache pkgnames "linux-image-$series." | sed -n 's/^linux-image-\(.*\)-cloud-amd64$/\1/p' | sort -V | tail -n 1
}

build() { # TMP
  local tmp="$1" packages vmlinuz modules release config
  archive_update
  mapfile -t packages < <(packages_of "$abi")
  if [ "${#packages[@]}" -eq 0 ]; then
    local newest
    newest=$(newest_of_series "$abi")
    [ -n "$newest" ] || fail "no kernel $abi" "neither it nor another of its series is in $(debian_mirror)" \
      "choose another with KERNELS=..., or set SCX_SLO_DEBIAN_MIRROR to an archive that has it"
    say "kernel $abi has left the archive, taking $newest"
    mapfile -t packages < <(packages_of "$newest")
  fi
  say "downloading ${packages[*]}"
  mkdir "$tmp/tree"
  (cd "$tmp" && archive apt-get download "${packages[@]}" >download.log 2>&1) ||
    fail "cannot download ${packages[*]}" "$(tail -n 2 "$tmp/download.log" | tr '\n' ' ')" "check the network, then run again"
  for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp/tree"; done

  # /boot/vmlinuz-<release> in the older packages, /usr/lib/modules/<release>/vmlinuz in the newer ones; config alike.
  vmlinuz=$(find "$tmp/tree" -type f -name 'vmlinuz*' | head -n 1)
  mv "$vmlinuz" "$tmp/vmlinuz"
  release=$(sed -n 's/^linux-\(binary\|image\)-//p' <<<"${packages[0]}")
  config=$(find "$tmp/tree" -type f \( -path "*/boot/config-$release" -o -path "*lib/modules/$release/config" \) | head -n 1)
  if [ -n "$config" ]; then mv "$config" "$tmp/config"; else say "note: no configuration for $release"; fi
  modules=$(find "$tmp/tree" -type d -path "*lib/modules/$release/kernel" | head -n 1)
  if [ -n "$modules" ]; then pack_modules "$tmp" "$release" "${modules%/kernel}"; else say "note: no modules for $release"; fi
  printf '%s\n' "$release" >"$tmp/release"
  rm -rf "${tmp:?}/tree" "$tmp"/*.deb
}

pack_modules() { # TMP RELEASE DIR
  local tmp="$1" release="$2" base="$1/depmod"
  mkdir -p "$base/lib/modules"
  mv "$3" "$base/lib/modules/$release"
  # The package has no modules.order: depmod says so, and needs none.
  /sbin/depmod -b "$base" "$release" 2>"$tmp/depmod.log"
  /sbin/mke2fs -q -F -t ext4 -O ^has_journal -L scx-modules -d "$base/lib/modules/$release" "$tmp/modules.img" \
    "$(($(du -sm "$base" | cut -f1) * 3 / 2 + 16))M" >/dev/null
  rm -rf "$base"
}

dir=$(asset "kernel-$abi-$(content_key "$(cat "${BASH_SOURCE[0]}")")" build)
release=$(cat "$dir/release")
[ "$release" = "$abi-cloud-amd64" ] || say "note: kernel $abi is not in the archive any more; this is $release"
printf '%s\n' "$dir"
