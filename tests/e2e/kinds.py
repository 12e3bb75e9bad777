"""The kinds that the shipped packs watch and act on."""

from __future__ import annotations

import yaml

from tests.controlplane.plane import ControlPlane
from tests.world import RULES


def install_kinds(plane: ControlPlane) -> None:
    """Have their CustomResourceDefinitions served, those that are there already as they are."""
    plane.define(*yaml.safe_load_all((RULES.parent / "examples/demo/crds.yaml").read_text()))
