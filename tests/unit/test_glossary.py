"""docs/glossary.md: each term once, with the words of the code, and pages lead to it."""

from __future__ import annotations

import re

import pytest

from engine.model.observe import ActResult, Evaluated
from scripts.project import ROOT

TEXT = (ROOT / "docs/glossary.md").read_text()
TERMS = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)


def definition(term: str) -> str:
    """What stands below a term."""
    (found,) = re.findall(rf"^## {term}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_terms_are_in_order() -> None:
    """Each stands once, in the order of the alphabet."""
    assert sorted(set(TERMS)) == TERMS


def test_every_outcome_is_defined() -> None:
    """Those by which the metric of actions counts."""
    assert re.findall(r"^\| `(\w+)` \|", definition("Outcome"), re.MULTILINE) == [result.value for result in ActResult]


def test_every_end_of_an_evaluation_is_defined() -> None:
    """Those by which the metric of evaluations counts."""
    assert set(re.findall(r"`(\w+)`", definition("Evaluation"))) == {result.value for result in Evaluated}


@pytest.mark.parametrize("term", ["firing-record", "outcome", "consent", "budget", "mode"])
def test_a_page_leads_to_the_term(term: str) -> None:
    """The terms that nobody can guess."""
    pages = [page.read_text() for page in (ROOT / "docs").rglob("*.md") if page.name != "glossary.md"]
    assert any(f"glossary.md#{term})" in page for page in pages)
