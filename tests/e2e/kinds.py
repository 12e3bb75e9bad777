"""The kinds that the shipped packs watch and act on."""

from __future__ import annotations

import yaml

from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.world import RULES

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install_kinds(plane: ControlPlane) -> None:
    """Install their CustomResourceDefinitions and wait until objects can be listed: kube-apiserver says 404, then 429, before."""
    found = list(yaml.safe_load_all((RULES.parent / "examples/demo/crds.yaml").read_text()))
    for definition in found:
        plane.ensure(DEFINITIONS, definition)

    def listed() -> bool:
        try:
            for spec in (one["spec"] for one in found):
                plane.request("GET", f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")
        except OSError:
            return False
        return True

    eventually(listed, "kinds of the shipped packs that are served")
