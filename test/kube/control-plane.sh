#!/usr/bin/env bash
# control-plane.sh : prints the directory of the programs of a Kubernetes control plane, building them when they are not
#   cached (some 10 minutes on 2 CPUs, at the lowest priority): bin/etcd as Debian has it, and
#   bin/{kube-apiserver,kube-controller-manager,kube-scheduler,kubelet,kube-proxy} built from Debian 12's kubernetes source
#   package. That is the newest of which Debian has the whole source: 1.20.2. KUBEBUILDER_ASSETS brings a newer one.
# Nothing is installed on the machine: compiler and programs come out of packages that are unpacked here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"
# shellcheck source=.ci/packages.sh
. "$here/../../.ci/packages.sh"

version=1.20.2
built=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
packages=(make rsync dpkg-dev xz-utils) # rsync: the source's own makefiles

# step WHAT COMMAND... : runs it, with its output in the log; a failure says what the log ends with.
step() {
  local what="$1"
  shift
  "$@" >>"$log" 2>&1 || fail "$what failed" "$(tail -n 3 "$log" | tr '\n' ' ')" "check the network and free disk space, then run again"
}

download() { # TMP
  cd "$1"
  step "downloading packages" archive apt-get download etcd-server/trixie \
    golang-1.19-go/bookworm golang-1.19-src/bookworm golang-github-modern-go-reflect2-dev/bookworm
  step "downloading the source" archive apt-get source --download-only --only-source kubernetes/bookworm
  for deb in ./*.deb; do step "unpacking $deb" dpkg-deb -x "$deb" "$1/debs"; done
}

# What stands between the source as it is and programs that work and stay on this machine.
prepare() { # SOURCE DEBS
  local reflect2=vendor/github.com/modern-go/reflect2
  cd "$1"
  # Its reflect2 breaks the iteration of maps since Go 1.18: the API server would die at the first JSON object.
  rm -r "$reflect2"
  cp -r "$2/usr/share/gocode/src/github.com/modern-go/reflect2" "$reflect2"
  # The kubelet asks for credentials and machine types at the metadata addresses of clouds.
  sed -i '\|pkg/credentialprovider/aws"|d' cmd/kubelet/app/plugins.go
  sed -i '\|cadvisor/utils/cloudinfo/|d' pkg/kubelet/cadvisor/cadvisor_linux.go
}

compile() { # OUT
  local flags="-s -w" package
  for package in k8s.io/kubernetes/vendor/k8s.io/{component-base,client-go/pkg}/version; do
    flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=20 -X $package.gitTreeState=archive"
  done
  # The definitions of OpenAPI are generated and not part of the source.
  step "generating sources" make generated_files
  for program in "${built[@]}"; do
    say "building $program"
    # Without the modes of cloud providers: half the size and time.
    step "building $program" go build -tags providerless -trimpath -ldflags "$flags" -o "$1/$program" "./cmd/$program"
  done
}

build() { # TMP
  local tmp="$1" source="$1/go/src/k8s.io/kubernetes"
  log="$1/log"
  install_packages "${packages[@]}"
  archive_update
  say "building a control plane from Kubernetes $version; nothing else has to wait for it: it runs at the lowest priority"
  renice -n 19 $BASHPID >/dev/null
  download "$tmp"
  mkdir -p "$(dirname "$source")" "$tmp/bin"
  # apt has checked the files against the signed archive.
  step "unpacking the source" dpkg-source --no-check -x "$tmp"/kubernetes_*.dsc "$source"
  prepare "$source" "$tmp/debs"
  cd "$source"
  # Its go.mod is older than what Go 1.17 and later take with vendored packages; GOPATH is how it was built, too.
  export GOROOT="$tmp/debs/usr/lib/go-1.19" GOPATH="$tmp/go" GOCACHE="$tmp/cache" GO111MODULE=off GOFLAGS='' CGO_ENABLED=0
  export PATH="$GOROOT/bin:$PATH"
  compile "$tmp/bin"
  cp "$tmp/debs/usr/bin/etcd" "$tmp/bin/"
  cd "$tmp"
  chmod -R u+w go cache
  rm -rf go cache debs ./*.deb kubernetes_*
  say "control plane built in $((SECONDS / 60)) min $((SECONDS % 60)) s"
}

[ "$(uname -m)" = x86_64 ] || fail "no control plane for $(uname -m)" "it is built on x86-64" \
  "set KUBEBUILDER_ASSETS to a directory with etcd and kube-apiserver"
asset "kubernetes-$version-$(content_key "$(cat "${BASH_SOURCE[0]}")")" build
