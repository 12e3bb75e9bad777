"""The kinds that the shipped packs watch and act on."""

from __future__ import annotations

import yaml

from engine.model.objects import Kind, Object
from tests.controlplane.plane import ControlPlane
from tests.world import RULES

#: Kinds of other projects whose controllers replace pods, with their plurals.
OWNERS = {
    "rollouts": Kind("argoproj.io/v1alpha1", "Rollout"),
    "services": Kind("serving.knative.dev/v1", "Service"),
    "kustomizations": Kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    "helmreleases": Kind("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
}


def install_kinds(plane: ControlPlane) -> None:
    """Have their CustomResourceDefinitions served, those that are there already as they are."""
    plane.define(*yaml.safe_load_all((RULES.parent / "examples/demo/crds.yaml").read_text()))


def install_owners(plane: ControlPlane) -> None:
    """Have OWNERS served, with stand-ins that take whatever they are given; their real schemas are tried in tests/e2e/owners."""
    plane.define(*(_stand_in(plural, kind) for plural, kind in OWNERS.items()))


def _stand_in(plural: str, kind: Kind) -> Object:
    version = {
        "name": kind.api_version.rpartition("/")[2], "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }  # fmt: skip
    names = {"plural": plural, "singular": kind.kind.lower(), "kind": kind.kind, "listKind": f"{kind.kind}List"}
    spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{kind.group}"}, "spec": spec,
    }  # fmt: skip
