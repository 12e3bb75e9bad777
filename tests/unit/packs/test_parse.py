"""A good pack, compiled: what each key becomes, and what is not a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.actions.annotate import AnnotateAction
from engine.cel import Program, Scope, backend
from engine.errors import InvalidText
from engine.model.flags import Mode
from engine.model.objects import Kind, Object
from engine.packs.last_applied import LAST_APPLIED
from engine.packs.metrics import MetricSpec
from engine.packs.parse import parse_pack, parse_spec
from engine.packs.rule import Existing, Limits, Retry
from engine.packs.sources import PackObject
from engine.packs.store import PackStore
from engine.packs.watches import Selection, Watch
from tests.unit.packs.packs import CEL, faults, pack, parsed, rule

POD = {"apiVersion": "v1", "kind": "Pod"}
ANY = {"apiVersion": "*", "kind": "*"}
PACKS = sorted((Path(__file__).parents[3] / "rules").glob("*/pack.yaml"))


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.parent.name)
def test_a_shipped_pack_has_no_faults(path: Path) -> None:
    """Every pack under rules/ is accepted, and is called as its folder."""
    (found,) = parse_pack(path.read_text(), str(path), CEL)

    assert found.name == path.parent.name


def test_what_is_left_out_has_its_default() -> None:
    """A pack with nothing but what it must have acts at once, on every change, in mode Enforce."""
    found = parsed(pack())
    (first,) = found.rules

    assert (found.feature_flag, found.default_mode, found.source) == ("example", Mode.ENFORCE, "pack.yaml")
    assert found.watches == {Kind("v1", "ConfigMap"): Watch(Kind("v1", "ConfigMap"), Selection("", None), ())}
    assert (first.when, first.on, first.hold, first.once_per) == ((), "Change", 0.0, None)
    assert (first.loop, first.loop_var, first.loop_key) == (None, "item", None)
    assert (first.existing, first.retry, first.limits) == (Existing(), Retry(None, 2.0, 300.0, None), Limits(None, "Fail"))
    assert (first.throttle, first.resync, first.mode, first.rescue) == (None, None, None, ())


def test_every_key_of_a_pack_is_compiled() -> None:
    """Watch, params, targets, inputs and metrics are there as data."""
    found = parsed(pack(
        featureFlag="other", defaultMode="Off", description="x",
        watch={**POD, "labelSelector": {"b": "2", "a": "1"}, "fields": ["status.phase", "metadata.annotations['a/b.c']"]},
        params={"size": {"type": "integer", "default": 3}},
        targets=[{**POD, "verbs": ["get"], "consent": "Never"}, {**ANY, "verbs": ["get"], "consent": "target.x"}],
        inputs={"wishes": {"annotation": "a/b", "format": "json", "schema": {"type": "array"}, "default": []}},
        metrics={"x_seconds": {"type": "histogram", "help": "X.", "labels": ["a"], "buckets": [1, 2.5]}},
    ))  # fmt: skip

    assert (found.feature_flag, found.default_mode, found.description) == ("other", Mode.OFF, "x")
    (watch,) = found.watches.values()
    assert (watch.kind, watch.selection.labels) == (Kind("v1", "Pod"), "a=1,b=2")
    assert watch.fields == (("status", "phase"), ("metadata", "annotations", "a/b.c"))
    assert (found.params["size"].schema["type"], found.params["size"].default) == ("integer", 3)
    never, expression = found.targets
    assert (never.kind, never.consent, never.verbs) == (Kind("v1", "Pod"), "Never", frozenset({"get"}))
    assert isinstance(expression.consent, Program)
    wishes = found.inputs["wishes"]
    assert (wishes.annotation, wishes.format, wishes.default) == ("a/b", "json", [])
    assert found.metrics == {"x_seconds": MetricSpec("x_seconds", "histogram", "X.", ("a",), (1.0, 2.5))}


def test_every_key_of_a_rule_is_compiled() -> None:
    """Durations become seconds, expressions programs, entries of actions their actions."""
    found = parsed(pack(
        targets=[{**POD, "verbs": ["get", "list"]}],
        rules=[rule(
            vars={"b": "item.x", "a": "vars.b"}, when="true", on="Delete", oncePer="'k'", loop="[1]", loopKey="vars.a",
            lookup={"pod": {**POD, "name": "x"}, "pods": {**POD, "labelSelector": {"a": "${lookup.pod.metadata.name}"}}},
            existing={"policy": "Ignore", "maxAge": "1d", "ageFrom": "object.x"}, throttle={"every": "1m30s"}, resync="5m",
            limits={"maxTargets": 2, "onExceed": "Truncate"},
            retry={"limit": 1, "backoff": "500ms", "maxBackoff": "1h", "timeout": "2h"},
            mode="Audit", rescue=[{"annotate": {"annotations": {"a": "${error}"}}, "when": "error != ''", "register": "r"}],
            **{"for": "1h30m"},
        )],
    )).rules[0]  # fmt: skip

    assert [program.source for program in found.when] == ["true"]
    assert (list(found.vars), found.on, found.hold, found.mode) == (["b", "a"], "Delete", 5400.0, Mode.AUDIT)
    assert (found.throttle, found.resync, found.limits) == (90.0, 300.0, Limits(2, "Truncate"))
    assert found.retry == Retry(1, 0.5, 3600.0, 7200.0)
    assert (found.existing.policy, found.existing.max_age) == ("Ignore", 86400.0)
    assert [(name, target.by_selector) for name, target in found.lookups.items()] == [("pod", False), ("pods", True)]
    assert isinstance(found.rescue[0].action, AnnotateAction)
    assert (found.rescue[0].register, found.rescue[0].when is not None) == ("r", True)
    assert found.once_per is not None and found.once_per.evaluate(Scope({})) == "k"


def test_existing_has_a_short_form() -> None:
    """`existing: Ignore` is `existing: {policy: Ignore}`."""
    assert parsed(pack(rules=[rule(existing="Ignore")])).rules[0].existing == Existing("Ignore")


def test_a_file_may_hold_several_packs_and_their_tests() -> None:
    """All packs of a text are returned; documents of kind RulePackTest are passed over."""
    text = "\n---\n".join([pack("one"), "kind: RulePackTest\nanything: [goes]\n", pack("two")])

    assert [each.name for each in parse_pack(text, "f", CEL)] == ["one", "two"]


def test_packs_in_a_labelled_config_map_are_found() -> None:
    """A ConfigMap manifest with the label is as good as the packs in its data; without the label it holds none."""
    text = "kind: ConfigMap\nmetadata: {labels: {rules.mlops.dev/rule-pack: 'true'}}\ndata:\n  a.yaml: |\n    " + pack("one")

    assert [each.name for each in parse_pack(text, "f", CEL)] == ["one"]
    assert parse_pack(text.replace("'true'", "'false'"), "f", CEL) == []


def test_events_need_no_target() -> None:
    """Emitting an Event on the watched object is no touch of another one."""
    event = {"emitEvent": {"type": "Normal", "reason": "Done", "message": "x"}}

    assert faults(pack(rules=[rule(actions=[event])])) == []


@pytest.mark.parametrize("selector", ["app=web", "app==web,tier!=x", "app in (a, b),tier notin (c)", "app,!old", "a.b/c=d-e"])
def test_a_label_selector_may_be_a_text(selector: str) -> None:
    """What the API server takes as a label selector is taken as it is."""
    (watch,) = parsed(pack(watch={**POD, "labelSelector": selector})).watches.values()

    assert watch.selection.labels == selector


@pytest.mark.parametrize("selector", ["=a", "a=b,", "a in b", "a in (b", "a=b c", "a b", ",", "a=(b)", "a/b/c=d"])
def test_a_text_that_is_no_label_selector_is_refused(selector: str) -> None:
    """What the API server would refuse is a fault of the pack."""
    assert len(faults(pack(watch={**POD, "labelSelector": selector}))) == 1


def test_a_consequence_of_a_fault_is_not_reported() -> None:
    """Where a key that gives names is misspelled, expressions with those names are not faults too."""
    reported = faults(pack(rules=[rule(loopp="object.items", when="true", loopKey="item.name")]))

    assert [fault.split("; ")[0].split(": ", 1)[1] for fault in reported] == ["unknown key 'loopp'"]


@pytest.mark.parametrize(("keys", "read"), [
    ({"schedule": {"cron": "99 * * * *"}}, "schedule.time"),
    ({"schedule": {"cron": "9 * * * *", "timeZone": "Berlin Mean Time"}}, "schedule.time"),
    ({"shedule": {"cron": "9 * * * *"}}, "schedule.time"),
    ({"aggregate": {"by": "'all'", "bye": 3, "counts": {"pods": "true"}}}, "group.pods"),
])  # fmt: skip
def test_what_reads_a_faulty_schedule_or_group_has_no_fault(keys: dict[str, Any], read: str) -> None:
    say = {"emitEvent": {"type": "Normal", "reason": "Due", "message": f"${{string({read})}}"}}

    (reported,) = faults(pack(rules=[rule(**keys, actions=[say])]))

    assert "unknown variable" not in reported


def test_faults_of_expressions_are_found_beside_those_of_keys() -> None:
    """An unknown key in one rule does not hide a wrong expression in it, or in another rule."""
    reported = faults(pack(rules=[rule(wehn="true", when="nothing"), rule("second", when="1 + 'a' == 2", **{"for": 5})]))

    assert len(reported) == 4


def test_the_text_of_the_error_names_the_file_and_the_location() -> None:
    """The exception reads `file:line:column: what; expected what`."""
    with pytest.raises(InvalidText) as refused:
        parse_pack("kind: RulePak\n", "dir/pack.yaml", CEL)

    assert str(refused.value) == (
        "dir/pack.yaml:1:7: the text 'RulePak' is not possible here; "
        "expected RulePack, RulePackTest, RuleLibrary, RuleLibraryTest or ConfigMap (did you mean 'RulePack'?)"
    )


def test_faults_of_an_object_come_in_the_order_of_its_rules() -> None:
    """By number, not by text; what may be a list has no number where it is written as one value."""
    rules = [{"name": f"r{number}", "when": "x", "actions": [{"annotate": {"annotations": {"a": "b"}}}]} for number in range(12)]
    spec = {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, "rules": rules}

    _, faults = parse_spec(PackObject("rulepack/ops/a", "a", "1", 1, spec), backend())

    assert [fault.location.inner for fault in faults] == [f"spec.rules[{number}].when" for number in range(12)]


def applied(spec: Object, stored: Object, *writers: Object) -> PackObject:
    """A RulePack that kubectl was given with one spec, and that has another; `writers` are in its managedFields too."""
    note = {LAST_APPLIED: json.dumps({"spec": spec})}
    meta = {"namespace": "ops", "name": "a", "uid": "1", "generation": 1, "annotations": note,
            "managedFields": [writer("kubectl-client-side-apply", 10, *spec, note=True), *writers]}  # fmt: skip
    return PackObject.of({"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": meta, "spec": stored})


def writer(manager: str, second: int, *keys: str, note: bool = False, **more: str) -> Object:
    """An entry of managedFields: the manager wrote these keys of the spec; with `note` the annotation of kubectl too."""
    fields: Object = {"f:spec": {f"f:{key}": {} for key in keys}}
    noted: Object = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}} if note else {}
    time = f"2026-01-01T00:00:{second:02}Z"
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": {**fields, **noted}, **more}


def patching(patch: Object) -> Object:
    """A spec whose only rule patches what it watches."""
    config_maps = {"apiVersion": "v1", "kind": "ConfigMap"}
    rules = [{"name": "r", "actions": [{"patch": {"patch": patch}}]}]
    return {"watch": config_maps, "targets": [{**config_maps, "verbs": ["get", "patch"]}], "rules": rules}


def test_a_null_that_kubectl_apply_drops_is_read_as_it_was_given() -> None:
    """Without it a patch that removes a key would change nothing; kubectl says nothing of it."""
    given = patching({"data": {"a": None}, "list": [{"b": None}]})

    assert applied(given, patching({"data": {}, "list": [{}]})).spec == given


def test_nulls_count_where_another_part_has_been_edited_since() -> None:
    """Such as the mode, by which a pack is stopped; and another key of the same list's item."""
    given = patching({"data": {"a": None}, "list": [{"b": {"c": None}, "d": 1}]})
    stored = {**patching({"data": {}, "list": [{"b": {}, "d": 2}]}), "mode": "Disabled"}

    found = applied(given, stored)

    assert found.spec == {**patching({"data": {"a": None}, "list": [{"b": {"c": None}, "d": 2}]}), "mode": "Disabled"}
    assert found.dropped == ()


@pytest.mark.parametrize(
    ("given", "stored", "where"),
    [
        ({"data": {"a": None}}, {"data": {"b": "edited"}}, "data.a"),
        ({"data": {"a": None}}, {"data": "edited"}, "data.a"),
        ({"list": [{"a": None}]}, {"list": []}, "list[0].a"),
    ],
    ids=["beside it", "another type", "another length"],
)
def test_a_null_whose_surroundings_have_been_edited_since_does_not_count(given: Object, stored: Object, where: str) -> None:
    """It may be meant no more: the spec counts as it is stored, with a warning."""
    found = applied(patching(given), patching(stored))

    (warning,) = found.warnings
    assert found.spec == patching(stored)
    assert warning.location.inner == f"spec.rules[0].actions[0].patch.patch.{where}"
    assert warning.text == (
        "kubectl apply dropped the null here, and it does not count: what is around it has been changed since; "
        "expected the whole object once more by kubectl apply --server-side --force-conflicts, which keeps nulls"
    )


GIVEN, STORED = patching({"data": {"a": None}}), patching({"data": {}})


@pytest.mark.parametrize(
    "later",
    [
        writer("kubectl-edit", 11, "rules"),
        writer("kubectl-patch", 10, "rules"),
        {key: value for key, value in writer("flux", 11, "rules", operation="Apply").items() if key != "time"},
        writer("argocd-controller", 11, "rules", operation="Apply"),
        writer("kubectl-replace", 12, "watch", "targets", "rules"),
    ],
    ids=["edit", "in the same second", "no time", "server-side", "replace"],
)
def test_a_null_does_not_count_in_what_another_tool_has_written_since(later: Object) -> None:
    """Also where that is equal to what was given: who took the null away would get it back."""
    found = applied(GIVEN, STORED, later)

    (warning,) = found.warnings
    assert found.spec == STORED
    assert f"and it does not count: {later['manager']} has written rules since; expected" in warning.text


@pytest.mark.parametrize(
    "other",
    [
        writer("kubectl-create", 9, "watch", "targets", "rules"),
        writer("kubectl-patch", 11, "mode"),
        writer("rulepack", 11, "rules", subresource="status"),
    ],
    ids=["before", "another key", "status"],
)
def test_a_null_counts_in_what_nobody_has_written_since(other: Object) -> None:
    found = applied(GIVEN, STORED, other)

    assert (found.spec, found.warnings) == (GIVEN, [])


def test_a_null_does_not_count_where_nobody_is_known_to_have_applied_it() -> None:
    """An annotation that came along with the object, such as by `kubectl apply --server-side` of what `kubectl get` gave."""
    note = {LAST_APPLIED: json.dumps({"spec": GIVEN})}
    entry = writer("kubectl", 10, "rules", note=True, operation="Apply")
    meta = {"namespace": "ops", "name": "a", "annotations": note, "managedFields": [entry]}
    found = PackObject.of({"apiVersion": "x/v1", "kind": "RulePack", "metadata": meta, "spec": STORED})

    assert found.spec == STORED
    assert [warning.message.rpartition(": ")[2] for warning in found.warnings] == ["another tool has written rules since"]


def test_nulls_that_do_not_count_are_warnings_in_the_report() -> None:
    meta = {"namespace": "ops", "name": "a", "uid": "1", "annotations": {LAST_APPLIED: json.dumps({"spec": GIVEN})}}
    stored = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": meta, "spec": STORED}

    report = PackStore(CEL).update([], objects=[stored])[0]

    assert (report.packs, report.faults) == (("a",), ())
    assert [each.location.inner for each in report.warnings] == ["spec.rules[0].actions[0].patch.patch.data.a"]


def ruled(*rules: Object) -> Object:
    """A spec with these rules."""
    actions = [{"annotate": {"annotations": {"a.b/c": "x"}}}]
    return {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, "rules": [{"actions": actions, **each} for each in rules]}


EMPTY, BARE, OTHER = {"name": "r", "when": None}, {"name": "r"}, {"name": "other"}
EDITED = writer("kubectl-edit", 11, "rules")


@pytest.mark.parametrize(
    ("stored", "index"),
    [
        (ruled({**BARE, "resync": "5m"}), 0),
        (ruled(OTHER, BARE), 1),
        (ruled({"name": "renamed"}), 0),
    ],
    ids=["edited", "another before it", "renamed"],
)
@pytest.mark.parametrize("later", [[EDITED], []], ids=["by another tool", "by nobody known"])
def test_a_null_that_is_a_fault_stays_one_whoever_writes_its_rule(stored: Object, index: int, later: list[Object]) -> None:
    """Else a rule whose condition was left empty would act on everything once somebody edits another key of it."""
    obj = applied(ruled(EMPTY), stored, *later)

    (fault,) = parse_spec(obj, CEL)[1]

    assert fault.location.inner == f"spec.rules[{index}].when"
    assert fault.text == (
        "null stands here; expected a value. kubectl apply has noted the null and not sent it: where you want none, apply the "
        f"pack without the key, or remove the note: kubectl annotate rp a -n ops {LAST_APPLIED}-"
    )


@pytest.mark.parametrize(
    ("stored", "later"),
    [
        (ruled({**BARE, "when": "false"}), EDITED),
        (ruled(OTHER, {"name": "third"}), EDITED),
        (ruled(BARE), writer("flux", 11, "rules", operation="Apply")),
    ],
    ids=["a value", "no such rule", "applied on the server, which sends nulls"],
)
def test_a_null_is_no_fault_where_somebody_has_said_what_is_meant(stored: Object, later: Object) -> None:
    assert parse_spec(applied(ruled(EMPTY), stored, later), CEL)[1] == []


def test_a_null_of_an_action_stays_a_fault_where_another_is_added_before_it() -> None:
    """Actions have no names: each is found by the rest of it."""
    delete = {"target": {"apiVersion": "v1", "kind": "Secret", "labelSelector": {"a": "b"}}}
    targets = {"targets": [{"apiVersion": "v1", "kind": "Secret", "verbs": ["get", "list", "delete"]}]}
    given = {**ruled({"name": "r", "actions": [{"delete": {**delete, "where": None}}]}), **targets}
    added = {"annotate": {"annotations": {"a.b/c": "x"}}}

    stored = {**ruled({"name": "r", "actions": [added, {"delete": delete}]}), **targets}

    found = parse_spec(applied(given, stored, EDITED), CEL)[1]

    assert [fault.location.inner for fault in found] == ["spec.rules[0].actions[1].delete.where"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (patching({"data": {"a": None}}), patching({"data": {"a": None}})),
        (patching({"data": [{"a": None}]}), patching({"data": [{"a": None}, {"b": None}]})),
        ({"description": "none here"}, patching({"data": {}})),
    ],
    ids=["kept", "what keeps nulls", "no null"],
)
def test_what_is_stored_counts_where_no_null_was_dropped(given: Object, stored: Object) -> None:
    found = applied(given, stored)

    assert (found.spec, found.dropped) == (stored, ())


@pytest.mark.parametrize(
    "text", ["null", "{", '{"spec": null}', "[" * 100_000 + "null"], ids=["null", "cut", "no spec", "nested"]
)
def test_a_note_of_kubectl_that_is_none_says_nothing(text: str) -> None:
    meta = {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}}

    given = PackObject.of({"metadata": meta, "apiVersion": "x/v1", "kind": "RulePack", "spec": patching({})})

    assert given.dropped == ()
