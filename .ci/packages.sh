# shellcheck shell=bash
# Debian packages that something needs on this machine. Sourced after assets.sh, never run.

# os_release NAME : that field of /etc/os-release, empty where there is none.
os_release() { sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tr -d '"' || true; }

# debian_version : 12, 13, ... of this machine; 99 on testing and unstable, which have none; 0 where it is not Debian.
debian_version() {
  local version
  version=$(os_release VERSION_ID)
  if [ "$(os_release ID)" = debian ]; then printf '%s\n' "${version:-99}"; else echo 0; fi
}

# clang_package : of the newest clang that is at least 16: Debian 12's `clang` is 14, beside which it has clang-16.
clang_package() {
  case "$(debian_version)" in
    12) echo clang-16 ;;
    *) echo clang ;;
  esac
}

# missing_packages PACKAGE... : those that are not installed. dpkg-query fails for a package that it does not know;
# what it prints about the others still counts.
missing_packages() {
  comm -23 <(printf '%s\n' "$@" | sort -u) \
    <({ dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true; } | sed -n 's/^installed //p' | sort -u)
}

# as_root COMMAND... : runs it as root, through sudo where that is needed. Status 1: cannot.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null && sudo "$@"
  fi
}

# install_packages PACKAGE... : installs what is missing, as root or through sudo. Asks the package database each
# time, so it is right after any change of the machine, and quick when nothing is missing.
install_packages() {
  local missing apt_get apt_log
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -gt 0 ] || return 0
  as_root true || fail "cannot install ${missing[*]}" "this user is not root and there is no sudo" \
    "run as root: apt-get install ${missing[*]}"
  say "installing ${missing[*]}"
  apt_log=$(mktemp)
  apt_get=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  { "${apt_get[@]}" update && "${apt_get[@]}" install --no-install-recommends "${missing[@]}"; } >"$apt_log" 2>&1 ||
    fail "cannot install ${missing[*]}" "$(grep -E '^(E|W):' "$apt_log" | tail -n 3 | tr '\n' ' ')" \
      "check the network and /etc/apt, then run again (whole log: $apt_log)"
  rm -f "$apt_log"
}
