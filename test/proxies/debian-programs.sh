#!/usr/bin/env bash
# debian-programs.sh PACKAGE... : prints a directory of the cache that holds these Debian packages and the libraries
# they need, unpacked. Nothing is installed, so no daemon starts on this machine and no root is needed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"
# shellcheck source=.ci/packages.sh
. "$here/../../.ci/packages.sh"

# download DIRECTORY PACKAGE... : the packages and all that they depend on, as if nothing were installed here.
download() {
  local dir="$1"
  shift
  mkdir -p "$dir/archives/partial"
  : >"$dir/status"
  apt-get -q -y --no-install-recommends --download-only -o "Dir::State::status=$dir/status" \
    -o "Dir::Cache::archives=$dir/archives" -o APT::Sandbox::User= -o Debug::NoLocking=true install "$@" \
    >"$dir/log" 2>&1
}

# programs TEMPORARY-DIRECTORY PACKAGE... : builder of the asset.
programs() {
  local tmp="$1" deb name
  local wanted="$tmp/download"
  shift
  mkdir -p "$wanted"
  # A machine whose package lists are missing or old needs them first.
  download "$wanted" "$@" || { as_root apt-get -q update && download "$wanted" "$@"; } >"$wanted/update.log" 2>&1 ||
    { tail -n 3 "$wanted/log" >&2; return 1; }
  for deb in "$wanted"/archives/*.deb; do
    name=$(dpkg-deb -f "$deb" Package)
    case "$name" in
      libc6 | libc-* | *-perl | libperl*) ;; # the machine's own, or only for scripts that do not run
      lib* | *nginx* | haproxy | caddy | golang*) dpkg-deb -x "$deb" "$tmp" ;;
    esac
  done
  rm -rf "$wanted"
}

command -v apt-get >/dev/null || { say "no Debian packages on this machine: it has no apt-get"; exit 1; }
asset "programs-$(content_key "$(debian_version)" "$(uname -m)" "$@")" programs "$@"
