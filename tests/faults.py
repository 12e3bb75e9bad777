"""Tests of what should hold and does not hold yet."""

from __future__ import annotations

from functools import partial

import pytest


class Violated(AssertionError):
    """A requirement that is not met, as opposed to a test that could not get that far."""


def require(met: bool, found: object) -> None:
    """Fail with what was found where a requirement is not met. Raises Violated."""
    if not met:
        raise Violated(str(found))


#: Marks a test whose requirement is known not to be met, with the `reason`. Any other failure of the test is one.
known_fault = partial(pytest.mark.xfail, raises=Violated, strict=True)
