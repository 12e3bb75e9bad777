"""Rules that extend others: what they have from them, where faults of it are located, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.actions.annotate import AnnotateAction
from engine.packs.lint import lint
from engine.packs.parse import parse_object, parse_spec
from engine.packs.sources import PackObject, Text
from tests.unit.packs.packs import CEL, faults, pack, parsed, rule

POD = {"apiVersion": "v1", "kind": "Pod"}
ANNOTATING = [{"annotate": {"annotations": {"example.com/letter": "${item}"}}}]


def two(base: dict[str, Any], own: dict[str, Any], **fields: Any) -> str:
    """A pack with a rule `base`, and a rule `own` that extends it."""
    own = {"name": "own", "extends": "base", **own}
    return pack(rules=[rule("base", **base), own], targets=[{**POD, "verbs": ["get", "list"]}], **fields)


def test_a_rule_has_what_it_does_not_give_itself() -> None:
    base = {
        "when": "object.metadata.name == 'x'", "oncePer": "object.metadata.uid", "existing": "CatchUp", "loop": "['a']",
        "loopVar": "letter", "loopKey": "letter", "limits": {"maxTargets": 3}, "retry": {"limit": 2}, "mode": "Audit",
        "rescue": [{"label": {"labels": {"failed": "yes"}}}],
    }  # fmt: skip

    first, own = parsed(two(base, {"oncePer": "object.metadata.name"})).rules

    for name in ("existing", "loop_var", "limits", "retry", "mode"):
        assert getattr(own, name) == getattr(first, name)
    assert [each.source for each in (*own.when, own.loop, own.loop_key) if each] == [
        "object.metadata.name == 'x'",
        "['a']",
        "letter",
    ]
    assert own.once_per is not None and own.once_per.source == "object.metadata.name"
    assert [type(entry.action) for entry in own.actions] == [AnnotateAction]
    assert len(own.rescue) == 1


def test_the_names_of_vars_and_lookups_are_joined() -> None:
    pods, named = {**POD, "labelSelector": {}}, {**POD, "name": "${vars.name}"}
    base = {"vars": {"name": "'a'", "other": "'b'"}, "lookup": {"pods": pods, "one": named}}

    _, own = parsed(two(base, {"vars": {"name": "'c'"}, "lookup": {"pods": {**pods, "live": True}}})).rules

    assert {name: each.source for name, each in own.vars.items()} == {"name": "'c'", "other": "'b'"}
    assert {name: lookup.live for name, lookup in own.lookups.items()} == {"pods": True, "one": None}


@pytest.mark.parametrize(
    "key",
    [{"description": "x"}, {"previousNames": ["old"]}, {"event": "Delete"}, {"for": "1m"}, {"throttle": {"every": "1m"}},
     {"resync": "1m"}],
    ids=str,
)  # fmt: skip
def test_when_a_rule_is_evaluated_is_its_own(key: dict[str, Any]) -> None:
    _, own = parsed(two(key, {})).rules
    (alone,) = parsed(pack(rules=[rule("own")])).rules

    for name in ("description", "previous_names", "on", "hold", "throttle", "resync"):
        assert getattr(own, name) == getattr(alone, name)


def test_a_schedule_is_not_taken_over() -> None:
    _, own = parsed(two({"schedule": {"cron": "0 8 * * *"}}, {})).rules

    assert own.schedule is None


def test_an_empty_list_takes_the_rescue_away() -> None:
    _, own = parsed(two({"rescue": [{"label": {"labels": {"failed": "yes"}}}]}, {"rescue": []})).rules

    assert own.rescue == ()


def test_a_fault_of_what_is_taken_over_stands_once_and_where_it_was_written() -> None:
    text = two({"vars": {"x": "nothing"}}, {"vars": {"y": "'1'"}})

    (fault,) = faults(text)

    assert fault.startswith(f"1:{text.index('nothing') + 1}: unknown variable 'nothing'")


def test_a_fault_of_what_is_taken_over_has_the_path_of_the_other_rule() -> None:
    spec = json.loads(two({"vars": {"x": "nothing"}, "when": "vars.x == ''"}, {"vars": {"y": "'1'"}}))["spec"]

    _, found = parse_spec(PackObject("rulepack/ns/example", "example", "1", 1, spec), CEL)

    assert [fault.location.path for fault in found] == ["spec.rules[0].vars.x"]


def test_lint_speaks_of_each_rule_at_what_was_written() -> None:
    text = two(
        {
            "actions": [
                {"patch": {"target": {**POD, "name": "x"}, "patch": {"metadata": {"labels": {"a": "${object.metadata.name}"}}}}}
            ]
        },
        {},
    )

    _, found = lint([Text("pack.yaml", text.replace('"get", "list"', '"get", "patch"'), "pack.yaml")], CEL)

    once = [fault for fault in found if fault.code == "missing-once-per"]
    assert [fault.message.split()[1] for fault in once] == ["base", "own"]
    assert len({fault.location for fault in once}) == 1


def test_what_is_written_out_is_bounded() -> None:
    long = {"description": "x", "vars": {"long": "'" + "x" * 100_000 + "'"}}
    rules = [rule("base", **long), *({"name": f"r{number}", "extends": "base"} for number in range(20))]

    found = faults(pack(rules=rules))

    assert any("the rules are too long; expected at most 1048576 characters" in fault for fault in found)


def test_an_object_of_the_cluster_may_have_such_rules() -> None:
    spec = json.loads(two({"when": "object.metadata.name == 'x'"}, {}))["spec"]

    bound = parse_object(PackObject("rulepack/ns/example", "example", "1", 1, spec), CEL)

    assert [len(each.when) for each in bound.rules] == [1, 1]


def test_a_fault_that_only_the_extending_rule_has_names_both_rules() -> None:
    """Its loop has another name than the one that the other rule reads; the fault stands where the expression is written."""
    text = two({"actions": ANNOTATING, "loop": "['a']"}, {"loopVar": "letter"})

    (fault,) = faults(text)

    named = "(rule 'own' has it from rule 'base', which it extends)"
    assert fault.startswith(f"1:{text.index('${item}') + 3}: unknown variable 'item' {named}")


def test_a_fault_of_several_rules_that_extend_one_names_each_of_them() -> None:
    own = [{"name": name, "extends": "base", "loopVar": "letter"} for name in ("own", "other")]
    text = pack(rules=[rule("base", actions=ANNOTATING, loop="['a']"), *own])

    (fault,) = faults(text)

    named = [f"rule '{name}' has it from rule 'base', which it extends" for name in ("own", "other")]
    assert f"({'; '.join(named)})" in fault


def test_the_status_and_lint_name_both_rules() -> None:
    """The message is the same in each place where a fault is shown."""
    text = two({"actions": ANNOTATING, "loop": "['a']"}, {"loopVar": "letter"})

    _, of_object = parse_spec(PackObject("rulepack/ns/example", "example", "1", 1, json.loads(text)["spec"]), CEL)
    _, of_lint = lint([Text("pack.yaml", text, "pack.yaml")], CEL)

    said = "unknown variable 'item' (rule 'own' has it from rule 'base', which it extends)"
    path = "spec.rules[0].actions[0].annotate.annotations[example.com/letter]"
    assert [(fault.location.path, fault.message) for fault in of_object] == [(path, said)]
    assert [fault.message for fault in of_lint if fault.code == "expression"] == [said]
