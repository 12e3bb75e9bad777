"""What expressions give in the engine and in a real kube-apiserver 1.34."""

from __future__ import annotations

import re

import pytest

from engine.cel import Cel, Scope, backend
from engine.cel.declarations import ENGINE, GO_BINDINGS, GO_ENCODERS, GO_LISTS, GO_MATH, KUBERNETES_INCLUDES
from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import MACROS
from engine.errors import EvaluationError, ExpressionError
from tests.conformance import policies
from tests.conformance.calls import CALLS, KUBERNETES
from tests.conformance.conditions import DEFINITION, WIDGET
from tests.conformance.edges import EDGES
from tests.conformance.kubernetes import OBJECT, answers
from tests.controlplane.plane import ControlPlane

pytestmark = pytest.mark.cluster

#: Libraries that Kubernetes does not have, and functions of libraries that it has in an older version.
_ELSEWHERE = {ENGINE, GO_BINDINGS, GO_ENCODERS, GO_LISTS, GO_MATH, KUBERNETES_INCLUDES}
#: Examples of what 1.34 has in no version of its libraries, or refuses because its types are checked.
_NEWER = {"1 == 1.0", "'abc'.reverse() == 'cba'", "optional.unwrap([optional.of(1), optional.none()]) == [1]",
          "[optional.of(1), optional.none()].unwrapOpt() == [1]"}  # fmt: skip
#: Expressions in one definition: kube-apiserver limits what all rules of one may cost together.
_TOGETHER = 100
#: What the engine gives and what Kubernetes does, where they differ; docs/decisions, 33.
KNOWN: dict[str, tuple[bool | None, bool | None]] = {
    "'abc'.indexOf('a', 30) == -1": (None, True),
    "'abc'.lastIndexOf('a', 30) == -1": (None, True),
    "duration('1.5s').getMilliseconds() == 500": (True, False),
    "'%s'.format([['a', 1.5]]) == '[a, 1.5]'": (True, False),
    "'%e'.format([1000.0]) == '1.000000e+03'": (True, False),
    "'%.2f'.format([12345.678]) == '12345.68'": (True, False),
    "'%f'.format([1]) == '1.000000'": (True, None),
    "'%d'.format([1.0]) == '1'": (True, None),
    "'%s'.format([1e20]) == '1e+20'": (False, True),
    "{'a': dyn(null)}.?a.b.hasValue()": (None, False),
    "{'a': dyn('x')}.?a.b.hasValue()": (None, False),
    "{'a': 1, 'a': 2}.size() == 1": (None, True),
    "{1.5: 1}.size() == 1": (None, True),
    "-duration('1s') == duration('-1s')": (True, None),
    "string(timestamp('2026-01-24T22:30:00+01:00')) == '2026-01-24T21:30:00Z'": (True, False),
    "int(true) == 1": (True, None),
    "self.time == '2026-01-24T22:30:00Z'": (True, None),
    "self.time + 'x' == '2026-01-24T22:30:00Zx'": (True, None),
    "type(self.time) == google.protobuf.Timestamp": (False, True),
    "int(self.time) > 0": (None, True),
}


def _engine(cel: Cel, expression: str) -> bool | None:
    try:
        return cel.compile(expression, ("self",)).condition(Scope({"self": OBJECT}))
    except (ExpressionError, EvaluationError):
        return None


def _examples() -> list[str]:
    found = [(one.origin, one.example) for name in FUNCTIONS for one in FUNCTIONS[name]]
    found += [(macro.origin, macro.example) for macro in MACROS.values()]
    return [example for origin, example in found if origin not in _ELSEWHERE and example not in _NEWER]


def _by_policy(plane: ControlPlane, expressions: list[str]) -> dict[str, bool | None]:
    """What those give whose cost is estimated as too high for a definition; for policies, it is not estimated."""
    by_condition = {re.sub(r"\bself\b", "object.spec", each): each for each in expressions}
    plane.define(DEFINITION)
    found = policies.answers(plane, "policies.example.com/v1/widgets", list(by_condition), [{**WIDGET, "spec": OBJECT}])
    return {by_condition[each.condition]: each.value for each in found}


def _differing(plane: ControlPlane, name: str, expressions: list[str]) -> dict[str, tuple[bool | None, bool | None]]:
    """What the engine and kube-apiserver give to each expression that they do not agree on."""
    cel, theirs = backend(), dict[str, bool | None]()
    for start in range(0, len(expressions), _TOGETHER):
        theirs |= answers(plane, f"{name}{start}", expressions[start : start + _TOGETHER])
    theirs |= _by_policy(plane, [each for each in expressions if each not in theirs])
    ours = {each: _engine(cel, each) for each in theirs}
    return {each: (ours[each], theirs[each]) for each in theirs if ours[each] != theirs[each]}


def test_edges_are_as_in_kubernetes(control_plane: ControlPlane) -> None:
    """Conditions at the edges of the language and its libraries give the same, or have no answer, in both."""
    assert _differing(control_plane, "edge", EDGES) == {}


def test_every_example_is_true_in_kubernetes(control_plane: ControlPlane) -> None:
    """The examples of all functions that Kubernetes has."""
    assert _differing(control_plane, "example", _examples()) == {}


def test_typical_calls_are_true_in_both(control_plane: ControlPlane) -> None:
    """All 74 in the engine, and in a kube-apiserver of 1.34 all of the libraries that it has."""
    cel = backend()

    assert len(CALLS) == 74
    assert [each for each in CALLS if _engine(cel, each) is not True] == []
    assert [each for each, theirs in answers(control_plane, "call", KUBERNETES).items() if theirs is not True] == []


def test_known_differences(control_plane: ControlPlane) -> None:
    """What the engine does otherwise than Kubernetes on purpose; docs/reference/cel-conformance.md says why."""
    assert _differing(control_plane, "known", list(KNOWN)) == KNOWN
