"""Values that rules have read where the viewer may not: in messages, errors, keys and differences of what rules did."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model.objects import Kind, Resource
from tests.unit.console.builder import ADMIN, TEAM, Console
from tests.unit.operator.test_operator import CONFIG_MAP

WORD = "opensesame12"  # Base64, so that a Secret may hold it, and a name
SECRET = Resource(Kind("v1", "Secret"), "secrets", True)
PAGES = ("", "activity", "audit", "object?apiVersion=example.com/v1&kind=Widget&name=w&namespace=team-a")
LOOKUP = "lookup: {other: {apiVersion: v1, kind: ConfigMap, namespace: team-b, name: vault}}"


def pack(
    action: str, *, rule: str = "description: Reads elsewhere.", key: str = "object.spec.note", mode: str = "Enforce"
) -> str:
    """A pack with one rule that acts once for a big widget."""
    return f"""\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: widgets}}
spec:
  mode: {mode}
  watch: {{apiVersion: example.com/v1, kind: Widget}}
  targets:
    - {{apiVersion: v1, kind: ConfigMap, verbs: [get, list, watch, patch], consent: 'true'}}
    - {{apiVersion: v1, kind: Secret, verbs: [get, patch], consent: 'true'}}
  rules:
    - name: mark
      when: object.spec.size > 10
      existing: CatchUp
      oncePer: {key}
      retry: {{timeout: 10m}}
      {rule}
      actions: [{action}]
"""


def target(kind: str) -> str:
    """The other namespace's object."""
    return f"target: {{apiVersion: v1, kind: {kind}, namespace: team-b, name: vault}}"


def asserts(kind: str) -> str:
    """An action that says what a target holds."""
    return f"assert: {{{target(kind)}, that: 'false', message: 'it holds ${{target.data.word}}'}}"


def guards(kind: str) -> str:
    """An action whose guard has no answer for what a target holds."""
    return f"patch: {{{target(kind)}, guard: 'int(target.data.word) == 3', patch: {{data: {{a: b}}}}}}"


WAITS = (
    "wait: {lookup: {v: {apiVersion: v1, kind: ConfigMap, namespace: team-b, name: vault}}, "
    "until: 'int(lookup.v.data.word) == 3', atMost: 1m}"
)
ELSEWHERE = {
    "a message of assert": pack(asserts("ConfigMap")),
    "a guard": pack(guards("ConfigMap")),
    "what is waited for": pack(WAITS),
    "a message of a lookup": pack(
        "assert: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, that: 'false', "
        "message: 'it holds ${lookup.other.data.word}'}",
        rule=LOOKUP,
    ),
    "a target that is missing": pack(
        "patch: {target: {apiVersion: v1, kind: ConfigMap, name: '${lookup.other.data.word}'}, patch: {data: {a: b}}}",
        rule=LOOKUP,
    ),
    "what Audit would write": pack(
        "annotate: {annotations: {example.com/copy: '${lookup.other.data.word}'}}", rule=LOOKUP, mode="Audit"
    ),
    "the key in Audit": pack(
        "annotate: {annotations: {example.com/copy: a}}",
        rule=LOOKUP,
        key="object.spec.note + lookup.other.data.word",
        mode="Audit",
    ),
}


async def pages_of(console: Console, token: str, resource: Resource) -> list[str]:
    """The pages, and the stream, once the rule has acted for a widget; the value is in the other namespace."""
    async with console.running():
        body = {"metadata": {"name": "vault"}, "data": {"word": WORD}}
        await console.cluster.create(resource, "team-b", body)
        await console.clock.advance(2)
        await console.widget("team-a", "w", 20)
        await console.clock.advance(70)
        pages = [(await console.visit(page, token)).text for page in PAGES]
        return [*pages, *await console.events("activity-stream?after=0", token, 1)]


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_values_of_an_object_are_shown_to_those_who_may_get_it(tmp_path: Path, text: str) -> None:
    """Whoever may not get it sees that the rule acted, and none of its values on any page."""
    (there := tmp_path / "team").mkdir()
    for page in (shown := await pages_of(Console(there, text), TEAM, CONFIG_MAP)):
        assert WORD not in page
    assert "widgets/mark" in shown[1]
    (there := tmp_path / "admin").mkdir()
    assert any(WORD in page for page in await pages_of(Console(there, text), ADMIN, CONFIG_MAP))


@pytest.mark.parametrize("action", [asserts("Secret"), guards("Secret")], ids=["assert", "guard"])
async def test_values_of_a_secret_that_a_rule_acts_on_are_shown_to_nobody(tmp_path: Path, action: str) -> None:
    """The name of the Secret, and how it ended, are."""
    shown = await pages_of(Console(tmp_path, pack(action)), ADMIN, SECRET)
    for page in shown:
        assert WORD not in page
    assert "(hidden)" in shown[1]
