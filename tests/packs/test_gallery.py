"""examples/packs: short enough to be read, with a README whose rights are those that `rulepack rbac` writes."""

from __future__ import annotations

import re

import pytest

from engine.cel import backend
from engine.packs.parse import parse_pack
from engine.packs.rbac import granted
from tests.world import RULES

PACKS = RULES.parent / "examples" / "packs"
NAMES = sorted(path.parent.name for path in PACKS.glob("*/pack.yaml"))
LONGEST = 60


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_is_short(name: str) -> None:
    """It can be taken in at a glance."""
    assert len((PACKS / name / "pack.yaml").read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_says_how_to_apply_it_and_with_which_rights(name: str) -> None:
    """Those of the table are all that the operator gets for it."""
    (pack,) = parse_pack((PACKS / name / "pack.yaml").read_text(), "pack.yaml", backend())
    readme = (PACKS / name / "README.md").read_text()
    rights = {f"{resource}.{group}".rstrip("."): {*verbs} for (group, resource), verbs in granted([pack]).by_resource.items()}
    table = {row[0]: {*row[1].split(", ")} for row in re.findall(r"^\| `(\S+)` \| ([a-z, ]+) \|$", readme, re.MULTILINE)}
    assert table == rights
    assert f"$ rulepack rbac examples/packs/{name} | kubectl apply -f -\n" in readme
    assert f"$ kubectl apply -n rulepack-system -f examples/packs/{name}/pack.yaml\n" in readme


def test_all_of_them_are_in_the_list() -> None:
    """Each with a link to its README."""
    linked = re.findall(r"^\| \[`([a-z-]+)`\]\(([a-z-]+)/README.md\)", (PACKS / "README.md").read_text(), re.MULTILINE)
    assert sorted(linked) == [(name, name) for name in NAMES]
