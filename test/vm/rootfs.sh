#!/usr/bin/env bash
# Prints the path of the guest's root disk image (MBR, one ext4 partition), making it first when it is not cached.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"

suite=trixie
# What the suites, the demo and the bench use inside. Node and its packages come on a disk of their own.
packages=(
  bpftool ca-certificates hostname iproute2 iptables kmod libelf1t64 libstdc++6 mount openssl procps psmisc
  stress-ng util-linux zlib1g
)
# Kernel command lines name the root by this label-id: NVMe names swap from boot to boot.
label_id=5c51f001

make_tree() { # DIR
  mmdebstrap --variant=essential --include="$(IFS=,; echo "${packages[*]}")" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$1" "deb $(debian_mirror) $suite main"
}

make_image() { # TREE IMAGE
  local tree="$1" image="$2" mib offset=1048576
  mib=$(($(du -sm "$tree" | cut -f1) * 5 / 4 + 256))
  mkdir -p "$tree/work" "$tree/deps" "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run" "$tree/tmp"
  install -m 755 "$here/vminit.sh" "$tree/vminit"
  printf 'scx-vm\n' >"$tree/etc/hostname"
  printf '127.0.0.1 localhost scx-vm\n::1 localhost\n' >"$tree/etc/hosts"
  truncate -s $((offset + mib * 1048576)) "$image"
  printf 'label: dos\nlabel-id: 0x%s\nstart=2048, type=83\n' "$label_id" | /sbin/sfdisk -q "$image"
  /sbin/mke2fs -q -F -t ext4 -L scx-root -O ^has_journal -d "$tree" -E "offset=$offset" "$image" "${mib}M" >/dev/null
}

build() { # TMP
  [ "$(uname -m)" = x86_64 ] || fail "no guest for $(uname -m)" "the virtual machines run x86-64 kernels and binaries" \
    "use an x86-64 machine"
  say "root file system: Debian $suite with ${#packages[@]} packages (up to 2 minutes)"
  if [ "$(id -u)" -eq 0 ]; then
    make_tree "$1/tree" 2>"$1/log" || mmdebstrap_failed "$1/log"
    make_image "$1/tree" "$1/root.img"
    rm -rf "${1:?}/tree"
  else
    # Without root the owners live in a tar file and under fakeroot.
    make_tree "$1/tree.tar" 2>"$1/log" || mmdebstrap_failed "$1/log"
    fakeroot -- "$0" image-of-tar "$1"
    rm -rf "${1:?}/tree" "$1/tree.tar"
  fi
}

mmdebstrap_failed() { # LOG
  fail "mmdebstrap could not make the guest's root file system" "$(grep -E '^(E|W):' "$1" | tail -n 3 | tr '\n' ' ')" \
    "check the network and the mirror $(debian_mirror) (SCX_SLO_DEBIAN_MIRROR), then run again"
}

if [ "${1:-}" = image-of-tar ]; then
  mkdir "$2/tree"
  tar -C "$2/tree" -xf "$2/tree.tar" --exclude='./dev/*'
  make_image "$2/tree" "$2/root.img"
  exit 0
fi

key=$(content_key "$(cat "${BASH_SOURCE[0]}" "$here/vminit.sh")" "$(uname -m)")
dir=$(asset "root-$suite-$key" build)
printf '%s/root.img\n' "$dir"
