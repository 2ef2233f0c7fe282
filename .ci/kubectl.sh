#!/usr/bin/env bash
# Prints the path of a kubectl, fetching Debian trixie's when it is not cached: `make manifests`, `make install` and
# the Kubernetes tests use it. KUBECTL=PATH takes another one; KUBEBUILDER_ASSETS, where it has a kubectl, that one.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/assets.sh"

if [ -n "${KUBECTL:-}" ]; then
  command -v "$KUBECTL" || fail "no kubectl" "KUBECTL is $KUBECTL, which is no program" "correct it, or leave it unset"
  exit 0
fi
if [ -x "${KUBEBUILDER_ASSETS:-}/kubectl" ]; then
  printf '%s\n' "$KUBEBUILDER_ASSETS/kubectl"
  exit 0
fi

package=kubectl

build() { # TMP
  local tmp="$1" suite=trixie
  archive_update
  say "downloading $package of Debian $suite"
  (cd "$tmp" && archive apt-get download "$package/$suite" >download.log 2>&1) ||
    fail "cannot download $package" "$(tail -n 2 "$tmp/download.log" | tr '\n' ' ')" \
      "check the network, or set KUBECTL to a kubectl that you have"
  mkdir "$tmp/tree"
  dpkg-deb -x "$tmp/$package"_*.deb "$tmp/tree"
  mv "$tmp/tree/usr/bin/kubectl" "$tmp/kubectl"
  "$tmp/kubectl" version --client >"$tmp/version" ||
    fail "kubectl does not run" "the program in $package of Debian $suite does not start here" "set KUBECTL to one that does"
  rm -rf "${tmp:?}/tree" "$tmp"/*.deb
}

dir=$(asset "kubectl-$(content_key "$(cat "${BASH_SOURCE[0]}")")" build)
printf '%s/kubectl\n' "$dir"
