"""Texts of users in messages: what is left out of them, and what stays where they are cut."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.text import clean, cut, nearest

DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@given(st.text())
def test_a_clean_text_has_no_character_that_is_obeyed_or_hidden(text: str) -> None:
    """Whatever the text, no control character but tab and newline is left, and no mark of direction."""
    cleaned = clean(text)

    assert not [char for char in cleaned if unicodedata.category(char) == "Cc" and char not in "\t\n"]
    assert not [char for char in cleaned if unicodedata.bidirectional(char) in DIRECTIONS]
    assert clean(cleaned) == cleaned


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_plain_text_stays_as_it_is(text: str) -> None:
    """Nothing is left out of what can be printed."""
    assert clean(text) == text


@given(st.text(), st.integers(min_value=3, max_value=50))
def test_a_cut_text_has_the_length_asked_for_and_both_ends(text: str, limit: int) -> None:
    """It begins and ends as the whole text does."""
    short = cut(text, limit)

    assert len(short) == min(len(text), limit)
    if short != text:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail) or "…" in text


@pytest.mark.parametrize(("name", "meant"), [
    ("nosuch", ""), ("wyh", "why"), ("sc", "sch"), ("schh", "sch"), ("argocd-halth", "argocd-health"), ("sync", ""),
])  # fmt: skip
def test_the_name_that_was_meant_is_near(name: str, meant: str) -> None:
    """A short one whose letters occur in another name by chance is not."""
    assert nearest(name, ["sch", "why", "argocd-health", "sy"]) == meant
