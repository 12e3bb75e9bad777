"""Pauses between attempts that fail."""

from __future__ import annotations

from engine.model.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    """The first pause is the first one, each further one twice as long, none above the limit, however many fail."""
    backoff = Backoff(0.5, 30.0)

    assert [backoff.pause(failures) for failures in (1, 2, 3, 6, 7, 8, 5_000)] == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0, 30.0]


def test_jitter_only_shortens() -> None:
    """Jitter is the part that is taken off."""
    assert Backoff(2.0, 300.0).pause(3, jitter=0.25) == 6.0
