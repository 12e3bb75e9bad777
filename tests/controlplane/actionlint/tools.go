//go:build tools

// Package tools holds the version of actionlint: see ../actionlint.py.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
