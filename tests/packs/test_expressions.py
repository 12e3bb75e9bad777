"""The expressions of the shipped packs: short enough to be read aloud; what is longer is a function of a library."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cel import backend
from engine.packs.libraries import shipped_libraries
from engine.packs.parse import parse_text
from tests.world import RULES

LONGEST = 200
PACKS = sorted(RULES.glob("*/pack.yaml"))


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_no_expression_of_a_pack_is_long(path: Path) -> None:
    """Outside of rules/lib none has more than 200 characters."""
    packs, faults = parse_text(path.read_text(), "pack.yaml", backend())

    long = {
        f"{parsed.document.locate(each.path)}: {len(each.program.source)} characters"
        for parsed in packs
        for each in parsed.expressions
        if len(each.program.source) > LONGEST
    }

    assert (faults, long) == ([], set())


def test_the_consent_of_an_application_stands_once() -> None:
    """The packs that act on Applications ask the same function."""
    asking = [path.parent.name for path in PACKS if "consent: argocd.consents(" in path.read_text()]

    assert asking == ["application-status", "failure-notifications", "model-freshness", "on-success-triggers"]
    assert "argocd.deploysHere" in shipped_libraries().functions.defined["argocd.consents"].body.functions
