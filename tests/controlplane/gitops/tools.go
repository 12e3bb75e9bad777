//go:build tools

// Package tools imports what the tests build but no Go code here uses, so that
// `go mod tidy` keeps it, and everything it needs, in go.mod and go.sum.
package tools

import _ "github.com/argoproj-labs/argocd-operator/cmd"
