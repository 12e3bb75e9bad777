"""The broken packs under tests/lint: each has exactly the faults of its expected.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cel import backend
from engine.errors import Fault, InvalidText
from engine.packs.crds import read_definitions
from engine.packs.lint import CODES, lint
from engine.packs.parse import parse_pack
from engine.packs.sources import Text

CASES = sorted((Path(__file__).parents[2] / "lint").glob("*/pack.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_a_broken_pack_has_every_fault_at_its_location(case: Path) -> None:
    """Each fault is reported as line, column, severity, what is wrong, what was expected and its code."""
    crds = case.with_name("crds.yaml")
    definitions = read_definitions([crds] if crds.exists() else [])

    _, faults = lint([Text("pack.yaml", case.read_text(), "pack.yaml")], backend(), definitions)

    assert "".join(f"{line(fault)}\n" for fault in faults) == case.with_name("expected.txt").read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_an_engine_refuses_what_lint_calls_an_error_of_reading(case: Path) -> None:
    """Whatever is found while a pack is read keeps it from being put in force; what only lint finds does not."""
    _, faults = lint([Text("pack.yaml", case.read_text(), "pack.yaml")], backend())
    reading = [fault for fault in faults if CODES[fault.code].check is None]
    try:
        parse_pack(case.read_text(), "pack.yaml", backend())
        refused = False
    except InvalidText:
        refused = True

    assert refused == bool(reading) or case.parent.name in ("kustomize-output", "unknown-kind-acted-on")


def test_the_corpus_is_there() -> None:
    """At least 40 kinds of mistake are pinned, and each code by one of them."""
    reported = "".join(case.with_name("expected.txt").read_text() for case in CASES)
    assert len(CASES) >= 40
    assert {code for code in CODES if f"[{code}]" not in reported} == set()


def line(fault: Fault) -> str:
    """A fault as expected.txt has it: without the file's name."""
    expected = f"; expected {fault.expected}" if fault.expected else ""
    position = f"{fault.location.line}:{fault.location.column}"
    return f"{position}: {CODES[fault.code].severity}: {fault.message}{expected} [{fault.code}]"
