"""CustomResourceDefinitions of others, from their Go modules: Rollouts, Workflows, Knative, KServe, Flux and Tekton."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tests.controlplane import kserve
from tests.controlplane.gobuild import source
from tests.controlplane.olm import DEFINITIONS, WITHOUT_GO

ROLLOUTS, HELM = "github.com/argoproj/argo-rollouts", "github.com/fluxcd/helm-controller"
TEKTON, WORKFLOWS = "github.com/tektoncd/pipeline", "github.com/argoproj/argo-workflows/v3"
KUSTOMIZE = "github.com/fluxcd/kustomize-controller"
HELM_RELEASES = "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml"


def definitions() -> Iterator[dict[str, Any]]:
    """Those of Rollout, of Knative's Service, of HelmRelease and of Kustomization. Raises MissingProgram."""
    files = (
        source(DEFINITIONS, ROLLOUTS, WITHOUT_GO) / "manifests/crds/rollout-crd.yaml",
        source(DEFINITIONS, HELM, WITHOUT_GO) / HELM_RELEASES,
        source(DEFINITIONS, KUSTOMIZE, WITHOUT_GO) / "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
        source(kserve.FOLDER, kserve.KNATIVE, WITHOUT_GO) / "config/core/300-resources/service.yaml",
    )
    for file in files:
        yield from yaml.load_all(file.read_text(), yaml.CSafeLoader)


def runs() -> Iterator[dict[str, Any]]:
    """Those of Argo's Workflow and of InferenceService. Raises MissingProgram."""
    workflows = source(DEFINITIONS, WORKFLOWS, WITHOUT_GO) / "manifests/base/crds/full/argoproj.io_workflows.yaml"
    services = source(kserve.FOLDER, kserve.KSERVE, WITHOUT_GO) / "config/crd/full/serving.kserve.io_inferenceservices.yaml"
    for file in (workflows, services):
        yield from yaml.load_all(file.read_text(), yaml.CSafeLoader)


def delivery() -> Iterator[dict[str, Any]]:
    """Those of Tekton's PipelineRun and of HelmRelease. Raises MissingProgram.

    Without the conversion to v1beta1 of Tekton's webhook, which is not there: v1 is what is stored.
    """
    helm = source(DEFINITIONS, HELM, WITHOUT_GO) / HELM_RELEASES
    runs = source(DEFINITIONS, TEKTON, WITHOUT_GO) / "config/300-crds/300-pipelinerun.yaml"
    for file in (helm, runs):
        for definition in yaml.load_all(file.read_text(), yaml.CSafeLoader):
            definition["spec"].pop("conversion", None)
            yield definition
