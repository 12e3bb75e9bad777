"""Every function and macro is shown by an example, which is true."""

from __future__ import annotations

import pytest

from engine.cel import Cel, Scope
from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import MACROS

EXAMPLES = [
    *((f"{one.name}: {one.origin}", one.example) for name in FUNCTIONS for one in FUNCTIONS[name]),
    *((macro.name, macro.example) for macro in MACROS.values()),
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_is_true(cel: Cel, name: str, example: str) -> None:
    """The example uses what it is the example of, and holds."""
    called = name.partition(":")[0].strip("@_")
    assert called.partition("ByAssociated")[0] in example or not called[0].isalpha()
    assert cel.compile(example, ()).condition(Scope({}))
