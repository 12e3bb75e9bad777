// The official conformance tests of CEL, pinned by go.sum; nothing of it is built.
module rulepack.dev/conformance

go 1.24.0

require cel.dev/expr v0.26.0
