"""CEL of real CustomResourceDefinitions and ValidatingAdmissionPolicies."""

from __future__ import annotations

import pytest

from engine.cel import Cel, backend
from engine.errors import ExpressionError
from tests.conformance.rules import MODULES, VARIABLES, expressions

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("name", MODULES)
def test_every_expression_is_accepted(name: str) -> None:
    """All expressions of a module compile."""
    cel, found = backend(), expressions(name)

    assert found
    assert {each: fault for each in found if (fault := _fault(cel, each))} == {}


def _fault(cel: Cel, expression: str) -> str:
    try:
        cel.compile(expression, VARIABLES)
    except ExpressionError as fault:
        return str(fault)
    return ""
