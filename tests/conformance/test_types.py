"""The type checker raises no false alarm in the rules that real CustomResourceDefinitions have, by their own schemas."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel.checker import Checker, type_of_schema
from engine.cel.parser import parse
from engine.cel.types import optional_of
from tests.conformance.modules import module
from tests.conformance.rules import MODULES, PARTIAL, definitions, rules

#: `__namespace__` is how the rules of definitions escape a word of CEL, which rule packs do not.
ESCAPED = "__namespace__"


@pytest.mark.parametrize("name", MODULES)
def test_real_rules_have_no_fault(name: str) -> None:
    """Every rule fits the schema that it stands in."""
    paths = [path for path in module(name).rglob("*.yaml") if PARTIAL not in path.parts]
    found = [pair for path in paths for crd in definitions(path.read_bytes()) for pair in rules(crd)]
    faulty = [rule["rule"] for schema, rule in found if ESCAPED not in rule["rule"] and _faults(schema, rule)]

    assert found
    assert faulty == []


def _faults(schema: dict[str, Any], rule: dict[str, Any]) -> list[Any]:
    kind = type_of_schema(schema, "self", pruned=True)
    tree = parse(rule["rule"])
    checker = Checker(tree, {"self": kind, "oldSelf": optional_of(kind) if rule.get("optionalOldSelf") else kind})
    checker.condition(tree.root)
    return [*checker.faults, *checker.missing]
