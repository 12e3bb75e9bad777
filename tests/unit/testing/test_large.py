"""Large values in `explain`, `replay` and `rulepack test`: they say what the operator does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import run_command
from engine.model.objects import annotations_of
from engine.testing.recording import Change
from tests.unit.operator.test_operator import CONFIG_MAP, Fixture

READ = {"uid": "0b0d9c4e-7f5f-4b32-9d33-7c1a1f1f5c11", "resourceVersion": "55"}
"""What `kubectl get -o yaml` shows of an object, and whoever writes one leaves out."""
LENGTHS = (5, 70_000, 2**16 - 1, 2**16 + 1)
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: large}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {watched: 'yes'}}
  rules:
    - name: size
      when: object.data.text.size() > 10
      actions: [{annotate: {annotations: {a/size: '${string(object.data.text.size())}'}}}]
    - name: whole
      when: "object.data.kind == 'this'"
      actions: [{annotate: {annotations: {a/whole: '${hash(toJson(object.data))}'}}}]
"""


def config(length: int, **meta: Any) -> dict[str, Any]:
    """A ConfigMap with a text of a length."""
    meta = {"name": "c", "namespace": "default", "labels": {"watched": "yes"}, **meta}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": "x" * length, "kind": "this"}}


def done_by_operator(folder: Path, length: int) -> dict[str, str]:
    """The marks that the operator makes, with the caches of its own informers."""
    return asyncio.run(operated(folder, length))


async def operated(folder: Path, length: int) -> dict[str, str]:
    """Let an operator find the ConfigMap."""
    fixture = Fixture(folder)
    (folder / "pack.yaml").write_text(PACK)
    async with fixture.running(fixture.operator()):
        await fixture.cluster.create(CONFIG_MAP, "default", config(length))
        await fixture.clock.advance(30)
        found = annotations_of(await fixture.cluster.get(CONFIG_MAP, "default", "c"))
    return {key: value for key, value in found.items() if key.startswith("a/")}


@pytest.mark.parametrize("length", LENGTHS)
def test_a_replay_does_what_the_operator_does(length: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the same objects, the same marks."""
    done = done_by_operator(tmp_path, length)
    (tmp_path / "recording").write_text(Change(1_769_292_000.0, config(length, uid="u")).line() + "\n")
    assert replay(tmp_path, capsys) == done


def replay(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The marks that a replay says."""
    assert run_command(["replay", str(folder / "recording"), "--rules", str(folder / "pack.yaml"), "--format", "json"]) == 0
    texts = [effect["what"] for effect in json.loads(capsys.readouterr().out)["effects"]]
    return {key: value for text in texts for key, value in json.loads(text[text.index("{") :])["annotations"].items()}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("meta", [{}, READ], ids=["new", "read"])
def test_explain_says_what_the_operator_does(
    length: int, meta: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a manifest that somebody has written, and of one that `kubectl get -o yaml` has, with the uid of another cluster."""
    done = done_by_operator(tmp_path, length)
    given = tmp_path / "object.json"
    given.write_text(json.dumps(config(length, **meta)))
    assert run_command(["explain", str(given), "--rules", str(tmp_path / "pack.yaml"), "--format", "json"]) == 0
    (explained,) = json.loads(capsys.readouterr().out)
    (pack,) = explained["packs"]
    assert {rule["rule"]: rule["result"] for rule in pack["rules"]} == {
        "size": "fired" if "a/size" in done else "skipped", "whole": "fired",
    }  # fmt: skip
    assert all(value in json.dumps(pack) for value in done.values())


@pytest.mark.parametrize("length", LENGTHS)
def test_a_suite_passes_for_what_the_operator_does(length: int, tmp_path: Path) -> None:
    """`rulepack test` expects the operator's marks, and finds them."""
    done = done_by_operator(tmp_path, length)
    expected = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default", "annotations": done}}
    steps = [{"apply": config(length)}, {"expect": {"objects": [expected]}}]
    suite = {
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePackTest", "metadata": {"name": "suite"},
        "spec": {"tests": [{"name": "large", "steps": steps}]},
    }  # fmt: skip
    (tmp_path / "tests.yaml").write_text(json.dumps(suite))
    assert run_command(["test", str(tmp_path)]) == 0
