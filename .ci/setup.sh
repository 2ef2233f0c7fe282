#!/usr/bin/env bash
# Installs what building, testing and the demo need on Debian 12 or newer: packages (as root or through sudo), the
# npm packages of the lock file, and libbpf. Quick when nothing is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=.ci/assets.sh
. "$here/assets.sh"
# shellcheck source=.ci/packages.sh
. "$here/packages.sh"

packages=(
  # build: BPF objects, libbpf, the kernel side's types
  make gcc libc6-dev linux-libc-dev libelf-dev zlib1g-dev pkg-config bpftool
  # virtual machines and their disks
  mmdebstrap debian-archive-keyring dpkg-dev fakeroot uidmap fdisk e2fsprogs kmod xz-utils zstd
  # tests and checks
  iproute2 procps util-linux shellcheck git ca-certificates
)

[ "$(debian_version)" -eq 0 ] || packages+=("$(clang_package)")
# Any Node from 18 on starts npm; the project's own Node 24 then comes with the npm packages.
command -v npm >/dev/null || packages+=(npm)

if [ "$(debian_version)" -ge 12 ]; then
  install_packages "${packages[@]}"
else
  name=$(os_release PRETTY_NAME)
  name="${name:-an unknown system}"
  if [ -n "${SCX_SLO_SKIP_PACKAGES:-}" ]; then
    say "not Debian 12 or newer ($name): taking your word that the packages are there"
  else
    say "Packages that are needed, by their Debian names: clang (16 or newer) ${packages[*]} npm"
    fail "cannot install packages on $name" "setup knows Debian 12 and newer" \
      "install the packages above, then run again with SCX_SLO_SKIP_PACKAGES=1"
  fi
fi

# True when node_modules holds the packages of the lock file; npm's own record of what it installed tells.
npm_packages_fit() {
  [ -x "$root/node_modules/.bin/node" ] && [ -f "$root/node_modules/.package-lock.json" ] || return 1
  "$root/node_modules/.bin/node" -e '
    const [wanted, installed] = process.argv.slice(1).map((file) => JSON.parse(require("fs").readFileSync(file)).packages);
    const fits = Object.entries(wanted).every(([path, { version, optional }]) =>
      path === "" || (installed[path] === undefined ? optional : installed[path].version === version));
    process.exit(fits ? 0 : 1);
  ' "$root/package-lock.json" "$root/node_modules/.package-lock.json"
}

# node_24 TEMPORARY-DIRECTORY PACKAGE : builder of an asset that holds Node 24 alone.
node_24() { npm install --prefix "$1" --no-save --no-audit --no-fund --ignore-scripts "$2" >&2; }

# Puts Node 24 first in PATH. npm must run on it, too: on an older one it silently leaves out optional packages whose
# engines want more, such as the native parts of the test runner.
use_node_24() {
  local machine=x64 version dir
  [ "$(uname -m)" != aarch64 ] || machine=arm64
  version=$(sed -n "s/.*\"node-linux-$machine\": \"\(.*\)\".*/\1/p" "$root/package.json")
  dir=$(asset "node-$version-$machine" node_24 "node-linux-$machine@$version") ||
    fail "cannot install Node $version" "npm could not; its lines are above" "check the network and the npm registry, then run again"
  PATH="$dir/node_modules/node-linux-$machine/bin:$PATH"
}

# npm 9, which Debian 12 has, installs the package that holds Node 24 but makes no link to its command.
link_node() {
  local nodes=("$root"/node_modules/node-linux-*/bin/node)
  [ -x "${nodes[0]}" ] || return 0
  mkdir -p "$root/node_modules/.bin"
  ln -sfn "../${nodes[0]#"$root/node_modules/"}" "$root/node_modules/.bin/node"
}

mkdir -p "$root/build"
exec {npm_lock}>"$root/build/.setup-lock"
flock "$npm_lock"
if ! npm_packages_fit; then
  say "installing the npm packages of the lock file"
  use_node_24
  # A registry mirror may lack packages that are optional and for other platforms; npm ci then calls the lock file
  # out of sync (EUSAGE). npm install takes the same locked versions and skips those.
  (cd "$root" && { npm ci --no-audit --no-fund >"$root/build/npm-ci.log" 2>&1 ||
    npm install --no-save --no-audit --no-fund >&2; }) ||
    fail "cannot install the npm packages" "$(grep -m 3 'npm error' "$root/build/npm-ci.log" | tr '\n' ' ')" \
      "check the network and the npm registry, then run make setup again"
  link_node
  npm_packages_fit || fail "no Node 24 in node_modules" "$(uname -sm) has no package node-linux-*" "use an x86-64 or arm64 Linux machine"
fi
exec {npm_lock}>&-

"$here/libbpf.sh" >/dev/null
