#!/usr/bin/env bash
# kernel-6.12.sh : prints the directory of a 6.12 kernel built from Debian's linux-source-6.12, building it when it is
#   not cached (some 10 minutes on 2 CPUs, at the lowest priority): vmlinuz, release (what `uname -r` will say), config.
# Debian's own 6.12 has sched_ext off; kernel-6.12.config says what this one has on.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"
# shellcheck source=.ci/packages.sh
. "$here/../../.ci/packages.sh"

source_package=linux-source-6.12
source_version=6.12.117-1
config="$here/kernel-6.12.config"
packages=(make gcc libc6-dev bc bison flex libelf-dev libssl-dev dwarves xz-utils dpkg-dev)

# The config must have come out as the fragment asks: Kconfig drops without a word what it cannot satisfy.
check_config() { # FILE
  local line name value
  while read -r line; do
    name="${line%%=*}"
    value=$(sed -n "s/^$name=//p" "$1")
    [ "${value:-n}" = "${line#*=}" ] || fail "the kernel's configuration has $name=${value:-n}" \
      "$config asks for $line" "correct that file"
  done < <(grep '^CONFIG_' "$config")
}

# Counts the finished steps of make's output on standard input; one line now and then.
progress() {
  local steps=0 said=$SECONDS
  while read -r _; do
    steps=$((steps + 1))
    if [ $((SECONDS - said)) -ge 30 ]; then
      said=$SECONDS
      say "kernel 6.12: $steps steps done after $((SECONDS / 60)) min $((SECONDS % 60)) s"
    fi
  done
}

# source_deb : `package=version` of the pinned version, or of the newest when it has left the archive.
source_deb() {
  if archive apt-cache madison "$source_package" | grep -F " $source_version " >/dev/null; then
    printf '%s=%s\n' "$source_package" "$source_version"
  else
    say "$source_package $source_version has left the archive, taking the newest"
    printf '%s\n' "$source_package"
  fi
}

build() { # TMP
  local tmp="$1" tree="$1/tree" wanted
  install_packages "${packages[@]}"
  archive_update
  wanted=$(source_deb)
  say "downloading $wanted (150 MB)"
  (cd "$tmp" && archive apt-get download "$wanted" >download.log 2>&1) ||
    fail "cannot download $wanted" "$(tail -n 2 "$tmp/download.log" | tr '\n' ' ')" "check the network, then run again"
  mkdir "$tree"
  dpkg-deb --fsys-tarfile "$tmp"/*.deb | tar -xO "./usr/src/$source_package.tar.xz" | tar -xJ -C "$tree" --strip-components=1
  rm "$tmp"/*.deb

  say "building it; nothing else has to wait for it: it runs at the lowest priority"
  cd "$tree"
  make tinyconfig >"$tmp/log" 2>&1
  ./scripts/kconfig/merge_config.sh -m .config "$config" >>"$tmp/log" 2>&1
  make olddefconfig >>"$tmp/log" 2>&1
  check_config .config
  nice -n 19 make -j"$(nproc)" bzImage 2>&1 | tee -a "$tmp/log" | progress ||
    fail "the kernel does not build" "$(grep -m 3 -iE 'error[: ]' "$tmp/log" | tr '\n' ' ')" \
      "see CONTRIBUTING.md, or run again with another compiler first in PATH"
  make -s kernelrelease >"$tmp/release"
  cp arch/x86/boot/bzImage "$tmp/vmlinuz"
  cp .config "$tmp/config"
  cd "$tmp"
  rm -rf "$tree"
  say "kernel $(cat "$tmp/release") built in $((SECONDS / 60)) min $((SECONDS % 60)) s"
}

[ "$(uname -m)" = x86_64 ] || fail "no 6.12 kernel for $(uname -m)" "the virtual machines run x86-64 kernels" \
  "use an x86-64 machine"
asset "kernel-6.12-$(content_key "$(cat "${BASH_SOURCE[0]}" "$config")")" build
