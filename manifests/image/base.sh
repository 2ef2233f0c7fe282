#!/usr/bin/env bash
# Prints the path of a tar file: Debian trixie as docker.io/library/debian:trixie-slim has it, made by mmdebstrap from
# the Debian archive, for machines that reach no registry.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"

suite=trixie

build() { # TMP
  say "base image: Debian $suite (up to 2 minutes)"
  mmdebstrap --variant=apt --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$suite" "$1/rootfs.tar" "deb $(debian_mirror) $suite main" 2>"$1/log" ||
    fail "mmdebstrap could not make the base image" "$(grep -E '^(E|W):' "$1/log" | tail -n 3 | tr '\n' ' ')" \
      "check the network and the mirror $(debian_mirror) (SCX_SLO_DEBIAN_MIRROR), then run again"
}

dir=$(asset "image-base-$suite-$(content_key "$(cat "${BASH_SOURCE[0]}")" "$(uname -m)")" build)
printf '%s/rootfs.tar\n' "$dir"
