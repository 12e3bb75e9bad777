"""Tests of what should hold and does not hold yet."""

from __future__ import annotations

import pytest


class Violated(AssertionError):
    """A requirement that is not met, as opposed to a test that could not get that far."""


def require(met: bool, found: object) -> None:
    """Fail with what was found where a requirement is not met. Raises Violated."""
    if not met:
        raise Violated(str(found))


def known_fault(reason: str) -> pytest.MarkDecorator:
    """Mark a test whose `require` is known to fail, and why. Anything else that fails there fails the test."""
    return pytest.mark.xfail(raises=Violated, strict=True, reason=reason)
