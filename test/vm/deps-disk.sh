#!/usr/bin/env bash
# Prints the path of a read-only ext4 disk image with the node_modules that the guest needs: Node itself, vitest and
# all that production code imports; no compilers, linters or type packages.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"

# The last: caches of tools, which want to write; of the names with a dot only .bin is needed.
unused=(@biomejs @types @typescript typescript undici-types '.[!b]*')

build() { # TMP
  say "packing node_modules for the guest"
  local exclude=()
  for name in "${unused[@]}"; do exclude+=("--exclude=./$name"); done
  mkdir "$1/tree"
  tar -C "$root/node_modules" -cf - "${exclude[@]}" \
    --exclude='./node-linux-*/include' --exclude='./node-linux-*/share' --exclude='*.d.ts' --exclude='*.map' . |
    tar -C "$1/tree" -xf -
  /sbin/mke2fs -q -F -t ext4 -O ^has_journal -L scx-deps -d "$1/tree" "$1/deps.img" \
    "$(($(du -sm "$1/tree" | cut -f1) * 5 / 4 + 32))M" >/dev/null
  rm -rf "$1/tree"
}

# npm writes this file last: it tells what is really installed, which package-lock.json does not.
installed="$root/node_modules/.package-lock.json"
[ -f "$installed" ] || fail "no node_modules" "$installed is missing" "make setup"
dir=$(asset "deps-$(content_key "$(cat "${BASH_SOURCE[0]}" "$installed")")" build)
printf '%s/deps.img\n' "$dir"
