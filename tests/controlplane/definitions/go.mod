// Where the tests read CustomResourceDefinitions of others from, pinned by go.sum; nothing of it is built: ../olm.py, ../owners.py.
module rulepack.dev/controlplane/definitions

go 1.24.0

require (
	github.com/argoproj/argo-rollouts v1.8.3
	github.com/argoproj/argo-workflows/v3 v3.7.2
	github.com/fluxcd/helm-controller v1.4.0
	github.com/fluxcd/kustomize-controller v1.7.3
	github.com/operator-framework/operator-controller v1.2.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/tektoncd/pipeline v1.3.1
)
