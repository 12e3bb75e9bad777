"""The broken packs under tests/lint, applied by a real kubectl: refused, or reported in the status; never silently different."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.cel import backend
from engine.errors import Fault, InvalidText, Location
from engine.packs.lint import CODES, lint
from engine.packs.sources import Text
from engine.packs.yamltext import read_yaml
from tests.cluster.conftest import RulePacks
from tests.e2e.cluster import eventually
from tests.unit.packs.test_corpus import CASES

STATUS = "rules.mlops.dev/status"
KINDS = ("rulepack", "rulelibrary", "configmap")
"""What the operator reports on."""
#: What kubectl itself settles before the server sees anything: the last of two equal keys counts, and the last of two documents
#: with one name. docs/rulepacks.md says so; `rulepack lint` finds both.
SETTLED_BY_KUBECTL = {"duplicate-key", "duplicate-pack"}
#: Of two libraries of one name the last counts too, so that other faults come to light than in the first.
LAST_LIBRARY = {"library-faults"}

#: What does not fit the schemas of the cluster's kinds, which may change: `rulepack lint` refuses it, the operator warns of it.
WARNED_OF = {"written"}


def linted(case: Path) -> list[Fault]:
    """What lint finds in a file."""
    _, found = lint([Text("pack.yaml", case.read_text(), "pack.yaml")], backend())
    return found


def refusals(case: Path) -> list[Fault]:
    """What keeps the engine from reading the pack in a file, by lint."""
    refused_by_binding = case.parent.name == "unknown-kind-acted-on"  # lint finds most kinds that do not exist by a check
    return [fault for fault in linted(case) if CODES[fault.code].check is None or refused_by_binding]


def documents(case: Path) -> list[Any]:
    """What the engine reads in a file; nothing where that is not YAML to it."""
    try:
        return [document.value for document in read_yaml(case.read_text(), partial(Location, "pack.yaml"))]
    except InvalidText:
        return []


def created(output: str) -> list[tuple[str, str]]:
    """Kind and name of what kubectl says that it has created or configured."""
    words = [line.split()[0] for line in output.splitlines()]
    return [(kind.partition(".")[0], name) for kind, _, name in (word.partition("/") for word in words)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_a_broken_pack_is_never_silently_different(rulepacks: RulePacks, case: Path) -> None:
    """What lint refuses, the server refuses or the status does, for the same reasons; anything else is stored as it is read."""
    kubectl, expected = rulepacks.kubectl, refusals(case)

    applied = kubectl.run("apply", "--validate=strict", "-f", str(case))
    stored = dict.fromkeys((kind, name) for kind, name in created(applied.stdout) if kind in KINDS)
    reported = [message for kind, name in stored for message in faults(rulepacks, kind, name)]
    specs = {name: rulepacks.find(name)["spec"] for kind, name in stored if kind == "rulepack"}
    warned = [each for name in specs if case.parent.name in WARNED_OF for each in warnings(rulepacks, name)]
    for kind, name in stored:
        kubectl("delete", kind, name)

    if case.parent.name in WARNED_OF:
        assert reported == []
        assert {message for message in warned if not any(fault.message in message for fault in linted(case))} == set()
        return
    if case.parent.name in SETTLED_BY_KUBECTL:
        assert (reported, bool(expected)) == ([], True)
        return
    assert applied.stderr or bool(reported) == bool(expected)
    # of YAML kubectl takes more, so that other faults come to light
    if case.parent.name not in LAST_LIBRARY and not any(fault.code == "yaml" for fault in expected):
        assert {message for message in reported if not any(fault.message in message for fault in expected)} == set()
    packs = [each for each in documents(case) if isinstance(each, dict) and each.get("kind") == "RulePack"]
    read = [(each["metadata"].get("name"), each["spec"]) for each in packs]
    assert all(reported or (name, spec) in read for name, spec in specs.items())


def warnings(rulepacks: RulePacks, name: str) -> list[str]:
    """What the operator says of a RulePack that may not be meant, once it has the schemas of the cluster."""
    found = eventually(lambda: rulepacks.status(name).get("warnings", []), f"warnings about {name}")
    return [warning["message"] for warning in found]


def faults(rulepacks: RulePacks, kind: str, name: str) -> list[str]:
    """What the operator says is wrong: in the status of a RulePack or a RuleLibrary, on a ConfigMap in its annotation."""
    if kind == "rulelibrary":
        return [fault["message"] for fault in rulepacks.library(name).get("faults", [])]
    if kind == "rulepack":
        status = rulepacks.status(name)
        (accepted,) = [each for each in status["conditions"] if each["type"] == "Accepted"]
        assert (accepted["status"] == "False") == ("faults" in status)
        return [fault["message"] for fault in status.get("faults", [])]
    path = f"/api/v1/namespaces/{rulepacks.engine.own}/configmaps/{name}"
    meta = rulepacks.plane.request("GET", path)["metadata"]
    if "labels" not in meta:
        return []
    eventually(lambda: STATUS in rulepacks.plane.request("GET", path)["metadata"].get("annotations", {}), f"status of {name}")
    text: str = rulepacks.plane.request("GET", path)["metadata"]["annotations"][STATUS]
    return text.splitlines()
