#!/usr/bin/env bash
# Prints the command that starts QEMU: Debian trixie's 10.0 with the libraries that it was built with, in the cache, so
# that every machine emulates alike and nothing of it is installed. QEMU before 8.1, such as Debian 12's 7.2, translates
# code without holding its page: with a thread for each CPU, a guest's kernel that patches itself meanwhile can later
# run a breakpoint that is long gone, and dies of `Oops: int3`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"

suite=trixie

build() { # TMP
  local tmp="$1" package
  archive_update
  say "QEMU of Debian $suite, with its libraries (38 MB to fetch)"
  mkdir -p "$tmp/archives/partial" "$tmp/root"
  archive apt-get install --yes --download-only --no-install-recommends -o APT::Default-Release="$suite" \
    -o Dir::Cache::archives="$tmp/archives" -o Debug::NoLocking=true qemu-system-x86 >"$tmp/log" 2>&1 ||
    fail "cannot download QEMU" "$(tail -n 2 "$tmp/log" | tr '\n' ' ')" "check the network, then run again"
  for package in "$tmp"/archives/*.deb; do dpkg-deb -x "$package" "$tmp/root"; done
  rm -rf "$tmp/archives" "$tmp/root/usr/share/doc" "$tmp/root/usr/share/locale"
  cat >"$tmp/qemu-system-x86_64" <<'EOF'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
libraries=$root/usr/lib/x86_64-linux-gnu
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/bin/qemu-system-x86_64" \
  -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "$@"
EOF
  chmod +x "$tmp/qemu-system-x86_64"
  "$tmp/qemu-system-x86_64" --version >>"$tmp/log" ||
    fail "the downloaded QEMU does not start" "see the lines above" "make clean-cache, then run again"
}

key=$(content_key "$(cat "${BASH_SOURCE[0]}")")
dir=$(asset "qemu-$suite-$key" build)
printf '%s/qemu-system-x86_64\n' "$dir"
