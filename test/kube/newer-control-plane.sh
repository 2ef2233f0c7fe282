#!/usr/bin/env bash
# newer-control-plane.sh : prints a directory for KUBEBUILDER_ASSETS with the control plane of the Kubernetes that
#   test/kube/newer/go.mod names, built from the Go module proxy when it is not cached (some 15 minutes on 2 CPUs, at the
#   lowest priority), and Debian trixie's etcd.
# Nothing is installed on the machine: etcd, and Go where there is none of 1.21 or later, are unpacked here; Go fetches
# the release that go.mod asks for by itself.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"
# shellcheck source=.ci/packages.sh
. "$here/../../.ci/packages.sh"

version=$(sed -n 's/^require k8s.io\/kubernetes v//p' "$here/newer/go.mod")
built=(kube-apiserver kube-controller-manager kube-scheduler)

# step WHAT COMMAND... : runs it, with its output in the log; a failure says what the log ends with.
step() {
  local what="$1"
  shift
  "$@" >>"$log" 2>&1 || fail "$what failed" "$(tail -n 3 "$log" | tr '\n' ' ')" "check the network and free disk space, then run again"
}

has_go() { command -v go >/dev/null && go version | grep -Eq ' go1\.(2[1-9]|[3-9][0-9])'; }

build() { # TMP
  local tmp="$1" packages=(etcd-server/trixie) flags="-s -w" minor
  log="$1/log"
  has_go || packages+=(golang-1.24-go/trixie golang-1.24-src/trixie)
  archive_update
  say "building a control plane from Kubernetes $version at the lowest priority"
  renice -n 19 $BASHPID >/dev/null
  cd "$tmp"
  step "downloading packages" archive apt-get download "${packages[@]}"
  for deb in ./*.deb; do step "unpacking $deb" dpkg-deb -x "$deb" "$tmp/debs"; done
  if ! has_go; then
    export GOROOT="$tmp/debs/usr/lib/go-1.24"
    export PATH="$GOROOT/bin:$PATH"
  fi
  mkdir -p "$tmp/bin" "$tmp/module"
  cp "$here/newer"/* "$tmp/module/"
  minor=${version#*.}
  for name in gitVersion=v"$version" gitMajor="${version%%.*}" gitMinor="${minor%%.*}" gitTreeState=archive; do
    flags+=" -X k8s.io/component-base/version.$name"
  done
  cd "$tmp/module"
  export GOPATH="$tmp/go" GOCACHE="$tmp/cache" GOFLAGS=-mod=readonly GOTOOLCHAIN=auto CGO_ENABLED=0
  for program in "${built[@]}"; do
    say "building $program"
    step "building $program" go build -trimpath -ldflags "$flags" -o "$tmp/bin/$program" "k8s.io/kubernetes/cmd/$program"
  done
  cp "$tmp/debs/usr/bin/etcd" "$tmp/bin/"
  cd "$tmp"
  chmod -R u+w go
  rm -rf go cache debs module ./*.deb
  say "control plane built in $((SECONDS / 60)) min $((SECONDS % 60)) s"
}

dir=$(asset "kubernetes-newer-$version-$(content_key "$(cat "${BASH_SOURCE[0]}" "$here"/newer/*)")" build)
printf '%s\n' "$dir/bin"
