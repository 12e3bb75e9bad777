"""What whoever may read /metrics, /packs or the log gets to see of objects: names, and never what a Secret holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.model.objects import Kind, Resource
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
async def test_only_names_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str) -> None:
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
