//go:build tools

// Package tools holds the versions of the programs that the tests build: see ../olm.py.
package tools

import (
	_ "github.com/operator-framework/operator-sdk/cmd/operator-sdk"
	_ "github.com/operator-framework/operator-sdk/images/scorecard-test"
)
