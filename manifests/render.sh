#!/usr/bin/env bash
# render.sh [OVERLAY...] : renders overlays (all by default) with kubectl kustomize into build/manifests/OVERLAY.yaml.
# For `kubectl apply -k` of the same, build/manifests/OVERLAY/ holds a kustomization.
#   IMAGE=REGISTRY/NAME:TAG   another image, the sidecar's included
#   ENFORCE=1                 with components/enforce
#   COMPONENTS="a b"          with more of manifests/components
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=.ci/assets.sh
. "$root/.ci/assets.sh"

out="$root/build/manifests"
read -ra components <<<"${COMPONENTS:-}"
[ "${ENFORCE:-}" != 1 ] || components+=(enforce)

# images and configMapGenerator of a kustomization on top.
image_settings() { # OVERLAY IMAGE
  local name="${2%:*}" tag="${2##*:}"
  case "$2" in
    *@* | *[!A-Za-z0-9._/:-]*) fail "bad IMAGE" "$2 is not NAME:TAG" "give both, for example registry.example/scx-slo:0.1.0" ;;
    *:*) [ "${tag##*/}" = "$tag" ] || fail "bad IMAGE" "$2 has no tag" "give NAME:TAG" ;;
    *) fail "bad IMAGE" "$2 has no tag" "give NAME:TAG" ;;
  esac
  printf 'images:\n  - { name: scx-slo, newName: "%s", newTag: "%s" }\n' "$name" "$tag"
  [ "$1" = observe-only ] || printf '%s\n' 'configMapGenerator:' \
    '  - name: scx-slo-webhook-settings' '    namespace: scx-slo-system' '    behavior: merge' \
    "    literals: [\"SCX_SLO_SIDECAR_IMAGE=$2\"]"
}

render() { # OVERLAY
  local overlay="$1" dir="$out/$1" component
  [ -f "$here/overlays/$overlay/kustomization.yaml" ] ||
    fail "no overlay $overlay" "there is no manifests/overlays/$overlay" "choose a folder of manifests/overlays"
  mkdir -p "$dir"
  {
    printf '%s\n' 'apiVersion: kustomize.config.k8s.io/v1beta1' 'kind: Kustomization' 'resources:' \
      "  - ../../../manifests/overlays/$overlay"
    [ "${#components[@]}" -eq 0 ] || printf 'components:\n'
    for component in "${components[@]}"; do printf '  - ../../../manifests/components/%s\n' "$component"; done
    [ -z "${IMAGE:-}" ] || image_settings "$overlay" "$IMAGE"
  } >"$dir/kustomization.yaml"
  "$kubectl" kustomize "$dir" >"$out/$overlay.yaml" ||
    fail "overlay $overlay does not render" "kubectl kustomize says so above" "kubectl kustomize build/manifests/$overlay"
  printf 'build/manifests/%s.yaml\n' "$overlay"
}

kubectl=$("$root/.ci/kubectl.sh")
if [ $# -eq 0 ]; then
  cd "$here/overlays"
  set -- */
  set -- "${@%/}"
fi
for overlay in "$@"; do render "$overlay"; done
