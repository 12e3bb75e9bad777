//go:build tools

// Package tools holds the versions of the programs that the tests build: see ../olm.py.
package tools

import (
	_ "github.com/operator-framework/operator-lifecycle-manager/cmd/catalog"
	_ "github.com/operator-framework/operator-lifecycle-manager/cmd/olm"
	_ "github.com/operator-framework/operator-registry/cmd/opm"
	_ "sigs.k8s.io/kustomize/kustomize/v5"
)
