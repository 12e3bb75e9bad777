// The official conformance tests of CEL, and modules with CustomResourceDefinitions whose rules are CEL; nothing of them is built.
module rulepack.dev/conformance

go 1.24.0

require (
	cel.dev/expr v0.26.0
	github.com/openshift/api v0.0.0-20260204104751-e09e5a4ebcd0
	k8s.io/kubernetes v1.34.0
	sigs.k8s.io/cluster-api v1.14.2
	sigs.k8s.io/gateway-api v1.6.0
	sigs.k8s.io/karpenter v1.14.0
)
