# shellcheck shell=bash
# The cache of everything that is downloaded or built outside the checkout. Sourced, never run.
#
# An asset is a directory whose name ends in a key of what it was made from. It appears whole (built beside, then
# renamed) and is never changed afterwards, so any number of runs may use it while another one is being built.

scx_cache="${XDG_CACHE_HOME:-$HOME/.cache}/scx-slo"

say() { printf '%s\n' "$*" >&2; }

# fail WHAT WHY NEXT
fail() {
  say "error: $1"
  say "  why:  $2"
  say "  next: $3"
  exit 1
}

# content_key TEXT... : 12 hex digits that name this content.
content_key() { printf '%s\0' "$@" | sha256sum | cut -c1-12; }

# asset NAME BUILDER [ARG...] : prints the directory of the asset, building it first when it is missing by
# `BUILDER TEMPORARY-DIRECTORY ARG...`. Two runs at once build once: the second waits for the first.
asset() {
  local name="$1" builder="$2" dir="$scx_cache/$1" tmp status=0
  shift 2
  if [ -d "$dir" ]; then
    touch -c "$dir"
    printf '%s\n' "$dir"
    return 0
  fi
  mkdir -p "$scx_cache/lock"
  exec {asset_lock}>"$scx_cache/lock/$name"
  flock -n "$asset_lock" || { say "$name: another run is building it, waiting"; flock "$asset_lock"; }
  if [ ! -d "$dir" ]; then
    rm -rf "$scx_cache/.partial-$name".*
    tmp=$(mktemp -d "$scx_cache/.partial-$name.XXXXXX")
    # `set -e` holds in the builder only where bash does not already look at its status.
    set +e
    (set -e; "$builder" "$tmp" "$@") >&2 {asset_lock}>&-
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
      mv -T "$tmp" "$dir"
      # What it replaces, once nobody has used that for a week: using an asset touches it.
      find "$scx_cache" -maxdepth 1 -name "${name%-*}-*" -mtime +7 -exec rm -rf {} +
    else
      rm -rf "$tmp"
    fi
  fi
  exec {asset_lock}>&-
  [ "$status" -eq 0 ] || return "$status"
  printf '%s\n' "$dir"
}

# The archive this machine already uses, so that a site mirror is respected.
debian_mirror() {
  local site
  if [ -n "${SCX_SLO_DEBIAN_MIRROR:-}" ]; then
    printf '%s\n' "${SCX_SLO_DEBIAN_MIRROR%/}"
    return
  fi
  # shellcheck disable=SC2016 # apt-get expands $(SITE), not the shell
  site=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | sed 's:/$::' | grep -m1 '/debian$' || true)
  printf '%s\n' "${site:-http://deb.debian.org/debian}"
}

# archive APT-TOOL ARG... : apt-get or apt-cache with a state of its own in the cache; the machine's package setup is
# neither read nor changed.
archive() {
  local tool="$1" state="$scx_cache/apt"
  shift
  "$tool" -q \
    -o Dir::State="$state/state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/state/status" \
    -o Dir::Cache="$state/cache" -o Dir::Etc::SourceList="$state/sources.list" \
    -o Dir::Etc::SourceParts=- -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=- \
    -o APT::Architecture=amd64 -o APT::Sandbox::User= -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# Brings the private package lists up to date, at most once in ten minutes. Call it only when an asset is missing.
archive_update() {
  local state="$scx_cache/apt" mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg suite
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/state"
  exec {archive_lock}>"$state/lock"
  flock "$archive_lock"
  mirror=$(debian_mirror)
  if [ -z "$(find "$state/updated" -mmin -10 2>/dev/null)" ] || [ "$(cat "$state/updated")" != "$mirror" ]; then
    touch "$state/state/status"
    for suite in bookworm trixie trixie-backports sid; do
      printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite"
    done >"$state/sources.list"
    for suite in bookworm trixie; do
      printf 'deb-src [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite"
    done >>"$state/sources.list"
    say "reading package lists of $mirror (bookworm, trixie, trixie-backports, sid)"
    archive apt-get update -o APT::Update::Error-Mode=any >"$state/update.log" 2>&1 ||
      fail "cannot read the package lists of $mirror" "$(tail -n 2 "$state/update.log" | tr '\n' ' ')" \
        "check the network, or set SCX_SLO_DEBIAN_MIRROR to a Debian mirror"
    printf '%s' "$mirror" >"$state/updated"
  fi
  exec {archive_lock}>&-
}
