"""What whoever may read /metrics, /packs or the log gets to see of objects: names, and never what a Secret holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model.objects import Kind, Resource
from engine.operator.statuses import STATUS
from tests.unit.operator.test_operator import WIDGET, Fixture, ask

SECRET = Resource(Kind("v1", "Secret"), "secrets", True)
CANARY = "Canary-In-The-Object"
HIDDEN = "b3BlbiBzZXNhbWU="
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: widgets}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: v1, kind: Secret, verbs: [get, patch]}]
  inputs:
    list: {annotation: example.com/list, format: yaml, schema: {type: array}}
  rules:
    - name: fires
      when: object.spec.note != ''
      actions:
        - annotate: {annotations: {example.com/copy: '${object.spec.note}'}}
    - name: unknown
      when: duration(object.spec.note) > duration('1s')
      actions:
        - annotate: {annotations: {example.com/mark: never}}
    - name: refused
      when: object.spec.note != ''
      oncePer: object.spec.note
      actions:
        - patch: {target: {apiVersion: v1, kind: Secret, name: '${object.spec.note}'}, patch: {data: {a: ''}}}
    - name: invalid-input
      when: inputErrors.list != ''
      actions:
        - emitEvent: {type: Warning, reason: Invalid, message: '${inputErrors.list}'}
    - name: writes-secret
      when: object.spec.size > 0
      MODE
      actions:
        - patch:
            target: {apiVersion: v1, kind: Secret, name: s}
            patch: {data: {word: 'HIDDEN'}, metadata: {annotations: {note: '${object.spec.note}'}}}
""".replace("HIDDEN", HIDDEN)


@pytest.mark.parametrize("mode", ["Enforce", "Audit"])
async def test_only_names_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str) -> None:
    """However rules fire, fail or have no answer: objects are not in /metrics and /packs, and Secrets not even in the log."""
    caplog.set_level("DEBUG")
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK.replace("MODE", f"mode: {mode}"))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.cluster.create(SECRET, "default", {"metadata": {"name": "s"}, "data": {"word": "b2xk"}})
        marks = {"labels": {"canary": CANARY}, "annotations": {"example.com/list": f"{{{CANARY}: 1}}", "example.com/x": CANARY}}
        body = {
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "its-name", **marks},
            "spec": {"size": 1, "note": CANARY}, "status": {"note": CANARY},
        }  # fmt: skip
        await fixture.cluster.create(WIDGET, "default", body)
        await fixture.clock.advance(60)
        metrics, packs = (await ask(operator, "/metrics"))[1], (await ask(operator, "/packs"))[1]
        word = (await fixture.cluster.get(SECRET, "default", "s"))["data"]["word"]

    assert word == (HIDDEN if mode == "Enforce" else "b2xk")
    assert "Widget default/its-name" in packs
    for outcome in ("refused", "unknown", "fires", "invalid-input"):
        assert outcome in metrics
    assert CANARY not in metrics
    assert CANARY not in packs
    assert "Secret default/s" in caplog.text
    for text in (metrics, packs, caplog.text):
        assert HIDDEN not in text
        assert "b2xk" not in text


TALKING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: talk}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]
  rules:
    - name: mark
      oncePer: object.metadata.uid
      existing: CatchUp
      actions:
        - label: {labels: {example.com/size: '${string(object.spec.size)}'}}
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: c}, patch: {data: {last: '${object.metadata.name}', more: 'x'}}}
        - emitEvent: {type: Normal, reason: Marked, message: 'it is marked'}
"""


async def test_each_effect_is_one_line_with_what_it_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At the level info: fields of other objects, Events by their reason, and the object's own labels, which are written last."""
    caplog.set_level("INFO")
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(TALKING)
    config_map = Resource(Kind("v1", "ConfigMap"), "configmaps", True)
    async with fixture.running(fixture.operator()):
        await fixture.cluster.create(config_map, "default", {"metadata": {"name": "c"}, "data": {"last": "none"}})
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 3}}
        await fixture.cluster.create(WIDGET, "default", body)
        await fixture.clock.advance(5)

    lines = [record.getMessage() for record in caplog.records if "talk/mark" in record.getMessage()]
    assert lines == [
        'talk/mark: Widget default/w: patch: patch ConfigMap default/c: done: data.last: "none" → "w"; data.more: ∅ → "x"',
        "talk/mark: Widget default/w: emitEvent: Normal Event Marked: done",
        'talk/mark: Widget default/w: label: its own metadata: done: metadata.labels: ∅ → {"example.com/size": "3"}',
    ]


async def test_faults_of_flags_and_params_are_reported_as_those_of_packs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each in one line of the log with its place, what is wrong and what was expected, and on the ConfigMap that has it."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(TALKING)
    config_map = Resource(Kind("v1", "ConfigMap"), "configmaps", True)
    labels = {"rules.mlops.dev/rule-pack": "true"}
    broken = {"metadata": {"name": "broken", "labels": labels}, "data": {"pack.yaml": TALKING.replace("oncePer", "oncPer")}}
    flags = {"metadata": {"name": "rulepack-feature-flags"}, "data": {"talk": "Enfroce"}}
    params = {"metadata": {"name": "rulepack-params"}, "data": {"talk": "disruptionsPerMinute: many\n"}}
    async with fixture.running(fixture.operator()):
        for body in (broken, flags, params):
            await fixture.cluster.create(config_map, "system", body)
        await fixture.clock.advance(20)
        found = {
            name: (await fixture.cluster.get(config_map, "system", name))["metadata"]["annotations"][STATUS]
            for name in ("broken", "rulepack-feature-flags", "rulepack-params")
        }

    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert sorted(found.values()) == sorted(errors)
    assert found == {
        "broken": "configmap/system/broken/pack.yaml:9:7: unknown key 'oncPer'; expected 'oncePer' (did you mean that?)",
        "rulepack-feature-flags": (
            "configmap/rulepack-feature-flags/talk:1:1: the text 'Enfroce' is no mode; expected Enforce, Audit or Disabled"
        ),
        "rulepack-params": ("configmap/rulepack-params/talk:1:23: the text 'many' stands here; expected a whole number"),
    }
