"""A pack that watches several kinds: its faults, what lint says of it, and the rights that it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cel import Scope, backend
from engine.model.objects import Kind
from engine.model.plurals import guessed_resource
from engine.packs.lint import lint
from engine.packs.parse import parse_spec
from engine.packs.rbac import Account, granted, pack_roles
from engine.packs.sources import PackObject, Text
from engine.packs.watches import Selection
from tests.unit.packs.packs import faults, pack, parsed, rule

CONFIGS, SECRETS, DEPLOYMENTS = (
    {"apiVersion": version, "kind": kind} for version, kind in (("v1", "ConfigMap"), ("v1", "Secret"), ("apps/v1", "Deployment"))
)
TEAM = {"namespaceSelector": {"matchLabels": {"team": "ml"}}}


DOCS = Path(__file__).parents[3] / "docs"


def linted(watch: Any, *rules: dict[str, Any], **fields: Any) -> list[str]:
    """What lint says."""
    text = pack(watch=watch, rules=[*rules], **fields)
    return [f"{fault.code}: {fault.message}" for fault in lint([Text("pack.yaml", text, "pack.yaml")], backend())[1]]


def test_one_watch_is_a_list_of_one() -> None:
    """A mapping and a list of one mapping say the same."""
    single, listed = (parsed(pack(watch=watch)) for watch in (CONFIGS, [CONFIGS]))

    assert single.watches == listed.watches


def test_each_kind_has_its_selectors_and_fields() -> None:
    """A `namespaceSelector` is written as Kubernetes has it, or as a mapping of labels; `{}` selects all namespaces."""
    expressions = [{"key": "env", "operator": "NotIn", "values": ["test"]}]
    found = parsed(pack(watch=[
        {**CONFIGS, "labelSelector": "a=b", "namespaceSelector": {"matchExpressions": expressions}, "fields": ["data"]},
        {**SECRETS, "namespaceSelector": {"team": "ml"}},
        {**DEPLOYMENTS, "namespaceSelector": {}},
    ]))  # fmt: skip

    assert [watch.selection for watch in found.watches.values()] == [
        Selection("a=b", "env notin (test)"), Selection("", "team=ml"), Selection("", None),
    ]  # fmt: skip
    assert [watch.fields for watch in found.watches.values()] == [(("data",),), (), ()]


def test_a_label_selector_has_the_forms_of_kubernetes() -> None:
    """`matchLabels` and `matchExpressions` are the text that means the same; a label may have one of their names."""
    expressions = [{"key": "tier", "operator": "In", "values": ["a", "b"]}, {"key": "keep", "operator": "DoesNotExist"}]
    found = parsed(pack(watch=[
        {**CONFIGS, "labelSelector": {"matchLabels": {"app": "web"}, "matchExpressions": expressions}},
        {**SECRETS, "labelSelector": {"matchLabels": "x"}},
        {**DEPLOYMENTS, "labelSelector": {"matchExpressions": []}},
    ]))  # fmt: skip

    assert [watch.selection.labels for watch in found.watches.values()] == ["!keep,app=web,tier in (a,b)", "matchLabels=x", ""]


@pytest.mark.parametrize(
    ("selector", "fault"),
    [({"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}, "matchExpressions[0].operator: Input should be"),
     ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "matchExpressions[0]: operator In has no values"),
     ({"matchLabels": {"a": 1}}, "matchLabels.a has the number 1, not a text"),
     ({"matchLabels": {"a": "not a value"}}, "label value 'not a value' of a is not one"),
     ({"app": "web", "tier": ["a"]}, "the label tier has a list of 1, not a text")],
)  # fmt: skip
def test_a_label_selector_says_what_is_wrong(selector: dict[str, Any], fault: str) -> None:
    """Once, at its place, and nothing follows from it."""
    targets = [{**CONFIGS, "verbs": ["get", "delete"]}]
    (found,) = linted({**CONFIGS, "labelSelector": selector}, rule(actions=[{"delete": {}}]), targets=targets)
    assert found.startswith(f"schema: {fault}")


@pytest.mark.parametrize(
    ("selector", "fault"),
    [
        ({"matchLabels": {"v": 1.1}}, ".matchLabels.v: the number 1.1 stands here; expected a text: put it in quotes"),
        ({"v": True}, ".v: true stands here; expected a text: put it in quotes"),
        ({"matchLabel": {"v": "a"}}, ".matchLabel: unknown key 'matchLabel'; expected 'matchLabels' (did you mean that?)"),
        (
            {"matchExpressions": [{"key": "v", "operator": "In", "values": [1.1]}]},
            ".matchExpressions[0].values[0]: the number 1.1 stands here; expected a text: put it in quotes",
        ),
        ("a=b", ": the text 'a=b' stands here; expected a mapping, such as {matchLabels: {team: a}}"),
    ],
)
def test_a_fault_in_a_namespace_selector_is_at_what_was_written(selector: Any, fault: str) -> None:
    """By the path in the object, in whichever of its two forms it is."""
    spec = yaml.safe_load(pack(watch={**CONFIGS, "namespaceSelector": selector}))["spec"]

    _, found = parse_spec(PackObject("rulepack/ops/a", "a", "1", 1, spec), backend())

    assert [f"{each.location.inner}: {each.text}" for each in found] == [f"spec.watch.namespaceSelector{fault}"]


def test_a_number_as_the_value_of_a_label_is_to_be_quoted() -> None:
    """Also in a selector of objects."""
    (fault,) = faults(pack(watch={**CONFIGS, "labelSelector": {"v": 1.1}}))

    assert fault.endswith("the label v has the number 1.1, not a text; expected a text: put it in quotes")


@pytest.mark.parametrize(
    ("watch", "fault"),
    [
        ([CONFIGS, CONFIGS], "ConfigMap is watched already; expected each kind once"),
        ({**CONFIGS, "kind": "Node", **TEAM}, "a Node lies in no namespace; expected labelSelector"),
        ({**CONFIGS, "namespaceSelector": {"a/b/c": "d"}}, "a/b/c"),
        ([{"apiVersion": "v1"}], "'kind' is missing; expected the watched kind"),
        ({"apiVersion": "v1"}, "'kind' is missing; expected the watched kind"),
        ([{**CONFIGS, "selector": "a"}], "unknown key 'selector'; expected 'labelSelector'"),
        ({**CONFIGS, "selector": "a"}, "unknown key 'selector'; expected 'labelSelector'"),
        ([], "too short"),
        ("Pod", "'Pod' stands here; expected a mapping"),
        ([CONFIGS, "Pod"], "'Pod' stands here; expected a mapping"),
    ],
)
def test_what_cannot_be_watched_is_reported(watch: Any, fault: str) -> None:
    """In the words, and at the place, of the one watch or of the entry of the list."""
    (found,) = faults(pack(watch=watch))

    assert fault in found


def test_a_fault_is_located_in_its_entry() -> None:
    """By line and column of the key in the second entry."""
    text = (
        "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: x}\nspec:\n  watch:\n"
        "    - {apiVersion: v1, kind: Pod}\n    - {apiVersion: v1, kind: Secret, feilds: [data]}\n"
        "  rules: [{name: r, actions: [{annotate: {annotations: {a: b}}}]}]\n"
    )
    assert [fault.split(": ")[0] for fault in faults(text)] == ["7:38"]


def test_an_action_on_the_watched_object_needs_its_verb_for_each_kind() -> None:
    """A kind without the verb is named; a rule that is for one kind needs it for that one."""
    patch = {"patch": {"patch": {"data": {"a": "b"}}}}
    targets = [{**CONFIGS, "verbs": ["get", "patch"]}]
    both = faults(pack(watch=[CONFIGS, SECRETS], targets=targets, rules=[rule(actions=[patch])]))
    one = faults(
        pack(watch=[CONFIGS, SECRETS], targets=targets, rules=[rule(when="object.kind == 'ConfigMap'", actions=[patch])])
    )

    assert (len(both), "targets do not have get and patch on Secret (v1)" in both[0], one) == (1, True, [])


def test_a_field_that_one_of_the_kinds_does_not_have_is_reported_of_that_kind() -> None:
    """Of a rule for several kinds, and of `fields`; not where the rule or the expression distinguishes the kinds."""
    assert linted([CONFIGS, DEPLOYMENTS], rule(when="object.spec.replicas == 3")) == [
        "unknown-field: ConfigMap has no field spec"
    ]
    assert linted([CONFIGS, {**DEPLOYMENTS, "fields": ["data"]}], rule()) == ["unknown-field: Deployment has no field data"]
    for when in (
        ["object.kind == 'Deployment'", "object.spec.replicas == 3"],
        ["object.kind in ['Deployment', 'StatefulSet']", "object.spec.replicas == 3"],
        ["object.apiVersion == 'apps/v1'", "object.spec.replicas == 3"],
        ["object.kind == 'Deployment' ? object.spec.replicas == 3 : object.data.a == 'b'"],
        ["has(object.spec.replicas) && object.spec.replicas == 3"],
    ):
        assert linted([CONFIGS, DEPLOYMENTS], rule(when=when)) == []


def test_a_wrong_type_is_reported_where_it_fits_none_of_the_kinds_or_one_of_a_rules_own() -> None:
    """Shared vars need only fit one kind."""
    wrong = linted([CONFIGS, DEPLOYMENTS], rule(when=["object.kind == 'Deployment'", "object.spec.replicas == '3'"]))
    shared = linted([CONFIGS, DEPLOYMENTS], rule(when="vars.some"), vars={"some": "object.spec.replicas == 3"})

    assert ([each.split(":")[0] for each in wrong], shared) == (["wrong-type"], [])


def test_a_rule_for_a_kind_that_is_not_watched_is_dead() -> None:
    """It can never fire."""
    assert linted([CONFIGS, SECRETS], rule(when="object.kind == 'Pod'")) == [
        "dead-rule: rule first can never fire: the pack watches ConfigMap and Secret only"
    ]


def test_rules_for_different_kinds_do_not_write_the_same() -> None:
    """The same annotation of objects of one kind is a fault, of two kinds none."""

    def writing(name: str, kind: str) -> dict[str, Any]:
        return {"name": name, "when": f"object.kind == '{kind}'", "actions": [{"annotate": {"annotations": {"a/b": name}}}]}

    apart = linted([CONFIGS, SECRETS], writing("one", "ConfigMap"), writing("two", "Secret"))
    same = linted([CONFIGS, SECRETS], writing("one", "Secret"), writing("two", "Secret"))

    assert (apart, [each.split(":")[0] for each in same]) == ([], ["same-annotation"])


def test_a_small_kind_is_reported_in_its_entry() -> None:
    """Lint knows the kinds of every entry."""
    assert linted([CONFIGS, {"apiVersion": "v1", "kind": "pods"}], rule())[0] == "unknown-kind: there is no kind pods in v1"


def test_rights_are_those_of_each_kind() -> None:
    """Each kind is listed and watched, patched where a rule about it writes; Namespaces where labels of them select."""
    found = parsed(pack(watch=[{**CONFIGS, **TEAM}, SECRETS], rules=[rule(when="object.kind == 'Secret'")]))
    verbs = {resource: [*verbs] for (_, resource), verbs in granted([found]).by_resource.items()}

    assert verbs["configmaps"] == verbs["namespaces"] == ["list", "watch"]
    assert verbs["secrets"] == ["list", "watch", "patch"]
    role = pack_roles([found], guessed_resource, Account("rulepack"))
    assert "resources: [namespaces]" in role
    assert "# example: namespaceSelector" in role


def test_roles_of_namespaces_say_what_they_cannot_grant() -> None:
    """Namespaces live in none, so a comment names the right that an administrator has to give."""
    found = parsed(pack(watch={**CONFIGS, **TEAM}))
    role = pack_roles([found], guessed_resource, Account("rulepack"), ["ns"])

    assert "# list namespaces: example: namespaceSelector" in role
    assert "resources: [namespaces]" not in role


def test_the_kind_of_the_watched_object_is_that_of_its_rule() -> None:
    """An action on the watched object says which kind it patches where the rule is about one, else the right on each."""
    patch = {"patch": {"patch": {"data": {"a": "b"}}}}
    targets = [{**each, "verbs": ["get", "patch"]} for each in (CONFIGS, SECRETS)]
    rules = [rule("one", when="object.kind == 'Secret'", actions=[patch]), rule("both", actions=[patch])]
    one, both = parsed(pack(watch=[CONFIGS, SECRETS], targets=targets, rules=rules)).rules

    assert {need.kind for need in one.needs()} == {Kind("v1", "Secret")}
    assert {need.kind for need in both.needs()} == {None}


@pytest.mark.parametrize("page", ["watching", "groups", "lookups"])
def test_the_example_of_the_docs_is_a_sound_pack(page: str) -> None:
    """The first one on each page that is a whole spec."""
    (spec, *_) = re.findall(r"^```yaml\n(spec:\n.*?)^```", (DOCS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)
    text = f"apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {{name: example}}\n{spec}"

    assert [str(fault) for fault in lint([Text("pack.yaml", text, "pack.yaml")], backend())[1]] == []


def test_the_example_of_the_docs_takes_a_config_map_without_data() -> None:
    """Its rule does nothing there, in place of having no answer."""
    (spec, *_) = re.findall(r"^```yaml\n(spec:\n.*?)^```", (DOCS / "watching.md").read_text(), re.MULTILINE | re.DOTALL)
    digest = parsed(f"apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {{name: a}}\n{spec}").rules[0]

    objects = [CONFIGS, {**CONFIGS, "data": {"a": "b"}}]

    assert [[clause.condition(Scope({"object": each})) for clause in digest.when] for each in objects] == [[False], [True]]
