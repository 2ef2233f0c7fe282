#!/usr/bin/env bash
# work-disk.sh IMAGE JOB-DIR : makes the ext4 disk that carries the project into one guest and its results out:
# every file that git tracks or would track, build/{bench/edf,bpf,dist,lib,vm}, and JOB-DIR as /.vm. Results land in /out.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
image="${1:?usage: work-disk.sh IMAGE JOB-DIR}"
job="${2:?usage: work-disk.sh IMAGE JOB-DIR}"

tree=$(mktemp -d "$(dirname "$image")/tree.XXXXXX")
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
cd "$root"

# copy TAR-OPTION... : the files named on standard input, NUL-separated. Status 1 is a file that changed or vanished
# while it was read, because someone edits or builds: no error here.
copy() {
  local status=0
  tar --no-recursion --ignore-failed-read "$@" --null -T - -cf "$tree.tar" 2>"$tree.log" || status=$?
  [ "$status" -le 1 ] || { echo "work-disk: $(tail -n 1 "$tree.log")" >&2; exit 1; }
  tar -C "$tree" -xf "$tree.tar"
  rm "$tree.tar" "$tree.log"
}

git ls-files -z --cached --others --exclude-standard | copy
# build/lib and build/bench/edf hold links into the cache, which the guest does not have.
{ find -L build/{bench/edf,bpf,dist,lib,vm} -type f -print0 2>/dev/null || true; } | copy --dereference

[ -f "$tree/test/vm/guest.sh" ] || { echo "work-disk: test/vm/guest.sh is not in the tree" >&2; exit 1; }
cp -r "$job" "$tree/.vm"
mkdir -p "$tree/out" "$tree/node_modules"
/sbin/mke2fs -q -F -t ext4 -O ^has_journal -L scx-work -d "$tree" "$image" \
  "$(($(du -sm "$tree" | cut -f1) * 5 / 4 + 256))M" >/dev/null
