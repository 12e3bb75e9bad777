"""A figure that was measured stands on one page only, which names the machine and the command; other pages link to it.

Limits and defaults of the engine are round, such as 5 s, 10 % and 64 KiB. Any other figure with a unit counts as measured.
"""

from __future__ import annotations

import re

import pytest

from scripts.project import ROOT
from scripts.prose import PAGES, blocks

MACHINE = re.compile(r"\d cores of (an )?AMD EPYC")
COMMAND = re.compile(r"`(make|python -m tests\.) ?\w+")
#: Figures outside of the pages that name a machine and a command, and why.
NOT_MEASURED = {("docs/operating.md", "120 MB"): "a rule of thumb, rounded up"}

_FIGURE = re.compile(r"(?<![\w.,])(\d[\d,]*(?:\.\d+)?) (µs|ms|s|seconds|min|minutes|h|hours|kB|KiB|MB|MiB|GB|GiB|%)(?!\w)")
_GENERATED = re.compile(r"<!-- (generated, \w+: begin|measured) -->.*?<!-- (generated, \w+: )?end -->", re.DOTALL)


def measured(text: str) -> set[str]:
    """The figures of a page with a unit of time, memory or share that were measured, those of generated tables left out."""
    found = [match for block in blocks(_GENERATED.sub("", text)) for match in _FIGURE.finditer(block.text)]
    return {match[0] for match in found if not is_round(match[1])}


def is_round(number: str) -> bool:
    """Whether it has one digit beside zeros, or a 5 after one, or is a power of two, as limits and defaults are."""
    digits = re.sub(r"[.,]", "", number).strip("0")
    return len(digits) < 2 or (len(digits) == 2 and digits.endswith("5")) or (number.isdigit() and int(number).bit_count() == 1)


def pages() -> dict[str, str]:
    """The pages for people, by name."""
    return {path.relative_to(ROOT).as_posix(): path.read_text() for pattern in PAGES for path in sorted(ROOT.glob(pattern))}


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("It takes 27.5 s.", {"27.5 s"}),
        ("It takes 49 ms and 302 µs, which is 13 % less.", {"49 ms", "302 µs", "13 %"}),
        ("| a |\n|---|\n| 132.9 MB |", {"132.9 MB"}),
        ("It waits for 5 s, 30 s, 10 minutes and 1,000 ms; at most 64 KiB and 1.5 MB.", set()),
        ("`--timeout 27 s`", set()),
        ("<!-- generated, a: begin -->\n\n27.5 s\n\n<!-- generated, a: end -->\n\n9.7 s", {"9.7 s"}),
    ],
)
def test_what_counts_as_measured(text: str, figures: set[str]) -> None:
    """No limits, no code and nothing that a program has written there."""
    assert measured(text) == figures


def test_a_page_with_figures_names_machine_and_command() -> None:
    """Elsewhere no figure stands that a later measurement could contradict."""
    unnamed = {
        (name, figure)
        for name, text in pages().items()
        if not (MACHINE.search(text) and COMMAND.search(text))
        for figure in measured(text)
    }
    assert unnamed == NOT_MEASURED.keys()


def test_no_figure_stands_on_two_pages() -> None:
    """The second one would be out of date with the next measurement."""
    found = [figure for text in pages().values() for figure in measured(text)]
    assert len(found) > 15
    assert sorted({figure for figure in found if found.count(figure) > 1}) == []
