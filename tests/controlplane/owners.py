"""CustomResourceDefinitions of others whose controllers replace pods, from their Go modules: Argo Rollouts, Knative and Flux."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tests.controlplane import kserve
from tests.controlplane.gobuild import source
from tests.controlplane.olm import DEFINITIONS, WITHOUT_GO

ROLLOUTS, HELM = "github.com/argoproj/argo-rollouts", "github.com/fluxcd/helm-controller"


def definitions() -> Iterator[dict[str, Any]]:
    """Those of Rollout, of Knative's Service and of HelmRelease. Raises MissingProgram."""
    files = (
        source(DEFINITIONS, ROLLOUTS, WITHOUT_GO) / "manifests/crds/rollout-crd.yaml",
        source(DEFINITIONS, HELM, WITHOUT_GO) / "config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",
        source(kserve.FOLDER, kserve.KNATIVE, WITHOUT_GO) / "config/core/300-resources/service.yaml",
    )
    for file in files:
        yield from yaml.load_all(file.read_text(), yaml.CSafeLoader)
