"""Conditions as policies have them give the same in the engine and in a ValidatingAdmissionPolicy of a real kube-apiserver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.cel import Scope, backend
from engine.cel.checker import Checker, union
from engine.cel.parser import parse
from engine.cel.types import NULL
from engine.errors import EvaluationError, ExpressionError
from engine.model.objects import Kind
from engine.packs.kinds import built_in
from tests.conformance.conditions import DEFINITION, POD_OBJECTS, PODS, WIDGET, WIDGETS
from tests.conformance.policies import Answer, answers
from tests.controlplane.gobuild import Say
from tests.controlplane.plane import ControlPlane

VARIABLES = ("object", "oldObject")


#: What the engine gives and Kubernetes 1.34 does not, though it gives the same for a text that is no annotation: cel-go finds no
#: overload of `int()` and the like for what `optMap` binds.
NO_OVERLOAD = {
    "object.metadata.?annotations[?'example.com/ttl'].optMap(t, duration(t) < duration('24h')).orValue(true)",
    "object.metadata.?annotations[?'example.com/until'].optMap(t, timestamp(t) > timestamp(1769299200)).orValue(false)",
    "object.metadata.?annotations[?'example.com/count'].optMap(n, int(n) > 0 && int(n) < 10).orValue(true)",
}


def _engine(answer: Answer) -> bool | None:
    try:
        return backend().compile(answer.condition, VARIABLES).condition(Scope({"object": answer.object, "oldObject": None}))
    except (ExpressionError, EvaluationError):
        return None


def _differing(found: Sequence[Answer]) -> list[tuple[str, str, bool | None, bool | None]]:
    """Condition, name of the object, what the engine gives and what kube-apiserver does, where these are not the same."""
    return [
        (each.condition, each.object["metadata"]["name"], ours, each.value)
        for each in found
        if (ours := _engine(each)) != each.value
    ]


def test_conditions_on_pods_are_evaluated_alike(control_plane: ControlPlane, say: Say) -> None:
    """True, false and no answer, for a plain pod, one that fulfils most policies and one that breaks most."""
    found = answers(control_plane, "v1/pods", PODS, POD_OBJECTS)

    say(f"conditions of policies on pods: {len(PODS)}, {len(found)} answers: {dict(Counter(each.value for each in found))}")
    assert {(*each[1:], each[0] in NO_OVERLOAD) for each in _differing(found)} == {("good", True, None, True)}


def test_conditions_on_any_json_are_evaluated_alike(control_plane: ControlPlane, say: Say) -> None:
    """On null, texts, numbers, lists and maps of a custom resource, of which no schema is known."""
    control_plane.define(DEFINITION)

    found = answers(control_plane, "policies.example.com/v1/widgets", WIDGETS, [WIDGET])

    say(f"conditions on any JSON: {len(found)} answers: {dict(Counter(each.value for each in found))}")
    assert _differing(found) == []


#: Conditions that can never hold, or have no answer, by the type of a Pod.
FAULTY = {
    "object.spec.containers[0].name + object.spec.containers[0] == 'x'",
    "has(object.spec.schedulerName.foo)",
    "object.spec.?schedulerName.?foo.hasValue()",
    "has(object.metadata.labels.team.x)",
    "object.spec.terminationGracePeriodSeconds * 0.5 > 1.0",
    "object.spec.terminationGracePeriodSeconds > '3'",
    "object.spec.terminationGracePeriodSeconds == '30'",
}


def test_lint_finds_the_faulty_ones_and_no_other() -> None:
    """The type checker knows the kind Pod, and raises no false alarm."""
    pod = built_in(Kind("v1", "Pod"))
    assert pod is not None

    def has_fault(condition: str) -> bool:
        tree = parse(condition)
        checker = Checker(tree, {"object": pod, "oldObject": union([pod, NULL])})
        checker.condition(tree.root)
        return bool(checker.faults or checker.missing)

    assert {each for each in PODS if has_fault(each)} == FAULTY
