//go:build tools

// Package newer pins the programs of a control plane newer than Debian's: newer-control-plane.sh builds them.
// After a new version here: `go mod tidy`; the replacements are those of its own go.mod, by their published versions.
package newer

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
)
