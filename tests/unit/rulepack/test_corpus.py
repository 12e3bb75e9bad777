"""The broken packs under tests/lint: each is refused with exactly the faults of its expected.txt, on either backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cel import backend
from engine.errors import Fault, InvalidText
from engine.rulepack.parse import parse_pack

CASES = sorted((Path(__file__).parents[2] / "lint").glob("*/pack.yaml"))


@pytest.mark.parametrize("name", ["celpy", "cel-cpp"])
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_a_broken_pack_is_refused_with_every_fault_at_its_place(case: Path, name: str) -> None:
    """Each fault is reported as line, column, what is wrong and what was expected."""
    with pytest.raises(InvalidText) as refused:
        parse_pack(case.read_text(), "pack.yaml", backend(name))

    told = "".join(f"{line(fault)}\n" for fault in refused.value.faults)
    assert told == case.with_name("expected.txt").read_text()


def test_the_corpus_is_there() -> None:
    """At least 25 kinds of mistake are pinned."""
    assert len(CASES) >= 25


def line(fault: Fault) -> str:
    """A fault as expected.txt has it: without the file's name."""
    return str(fault).removeprefix("pack.yaml:")
