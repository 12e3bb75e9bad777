"""Tests, explanations, recordings and replays of packs that watch several kinds, or namespaces by their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import run_command
from engine.model.objects import Kind, Object
from engine.testing.explain import explain
from engine.testing.recording import Change
from tests.unit.packs.packs import pack, parsed
from tests.world import World, named

CONFIG, SECRET = Kind("v1", "ConfigMap"), Kind("v1", "Secret")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: marks}
spec:
  watch:
    - {apiVersion: v1, kind: ConfigMap, labelSelector: {mark: 'yes'}, namespaceSelector: {team: ml}}
    - {apiVersion: v1, kind: Secret, namespaceSelector: {team: ml}}
  rules:
    - {name: mark, actions: [{annotate: {annotations: {a/mark: '${object.kind}'}}}]}
"""
TESTS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePackTest
metadata: {name: marks}
spec:
  packs: [pack.yaml]
  tests:
    - name: a namespace begins to be watched
      steps:
        - apply:
            - {apiVersion: v1, kind: Namespace, metadata: {name: team}}
            - {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: team}}
        - expect: {writes: []}
        - apply: {apiVersion: v1, kind: Namespace, metadata: {name: team, labels: {team: ml}}}
        - expect:
            objects:
              - {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: team, annotations: {a/mark: Secret}}}
"""


def test_a_test_gives_a_namespace_its_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The objects in it are evaluated from then on."""
    (tmp_path / "pack.yaml").write_text(PACK)
    (tmp_path / "tests.yaml").write_text(TESTS)

    status = run_command(["test", str(tmp_path), "--min-coverage", "100"])

    assert (status, capsys.readouterr().out.splitlines()[-1].split(" (")[0]) == (0, "1 passed")


def test_a_failing_test_says_which_selector_picks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For each kind that the rule could have been about."""
    (tmp_path / "pack.yaml").write_text(PACK)
    (tmp_path / "tests.yaml").write_text(TESTS.replace("labels: {team: ml}", "labels: {team: web}"))

    assert run_command(["test", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "not evaluated: there is no ConfigMap; the namespace selector team=ml picks none of the Secret objects" in shown


async def test_an_explanation_says_what_the_namespace_selector_makes_of_the_object() -> None:
    """And evaluates no rule where it does not pick it."""
    world = World(parsed(PACK))
    await world.create(named(SECRET, "s"))
    explanations = [await explain(world.cluster, world.clock, world.catalog, await world.get(SECRET, "s"))]
    await world.patch(Kind("v1", "Namespace"), "ns", {"metadata": {"labels": {"team": "ml"}}}, "")
    explanations.append(await explain(world.cluster, world.clock, world.catalog, await world.get(SECRET, "s")))

    first, second = (explanation.packs[0] for explanation in explanations)
    assert (first.selectors, first.rules) == ((("namespace", "team=ml", False),), ())
    assert (second.picked, [rule.skipped for rule in second.rules]) == (True, [""])


def test_a_manifest_with_its_namespace_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Offline, the namespace is one of the objects of the file."""
    (tmp_path / "pack.yaml").write_text(PACK)
    objects: list[Any] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": {"team": "ml"}}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns", "labels": {"mark": "yes"}}},
    ]
    (tmp_path / "objects.yaml").write_text("\n---\n".join(map(json.dumps, objects)))

    assert run_command(["explain", str(tmp_path / "objects.yaml"), "--rules", str(tmp_path / "pack.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "label selector mark=yes: picks it" in shown
    assert "namespace selector team=ml: picks it" in shown
    assert "mark (Enforce) fires" in shown


def change(seconds: float, obj: Object, *, initial: bool = False) -> Change:
    """An object at a time."""
    return Change(1_769_292_000.0 + seconds, obj, initial=initial)


def test_a_replay_follows_labels_of_namespaces(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was recorded of Namespaces has their objects evaluated from that time on."""

    def namespace(**labels: str) -> Object:
        meta = {"name": "ns", "uid": "n", "resourceVersion": str(len(labels)), "labels": labels}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}

    secret = named(SECRET, "s")
    recording = tmp_path / "recording.jsonl"
    changes = [change(0, namespace(), initial=True), change(0, secret, initial=True), change(60, namespace(team="ml"))]
    recording.write_text("".join(f"{each.line()}\n" for each in changes))
    (tmp_path / "pack.yaml").write_text(PACK)

    assert run_command(["replay", str(recording), "--rules", str(tmp_path / "pack.yaml"), "--format", "json"]) == 0
    (effect,) = json.loads(capsys.readouterr().out)["effects"]
    assert (effect["object"], effect["rule"], effect["outcome"]) == ("Secret ns/s", "marks/mark", "done")


def test_a_recording_has_all_that_is_watched_and_selected_by() -> None:
    """So that a replay knows the namespaces."""
    from engine.cli.record import _kinds

    assert [kind.kind for kind in _kinds([parsed(PACK)])] == ["ConfigMap", "Secret", "Namespace"]
    assert [kind.kind for kind in _kinds([parsed(pack())])] == ["ConfigMap"]


NARROW = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: claims}
spec:
  watch: {apiVersion: v1, kind: PersistentVolumeClaim, fields: [spec.volumeName]}
  rules:
    - name: warn
      when: object.status.phase == 'Pending'
      actions: [{emitEvent: {type: Warning, reason: Pending, message: pending}}]
"""
LATER = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePackTest
metadata: {name: claims}
spec:
  packs: [pack.yaml]
  tests:
    - name: the phase comes later
      steps:
        - apply: {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}}
        - apply: {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, status: {phase: Pending}}
        - expect: {events: [{reason: Pending}]}
"""


def test_a_failing_test_says_that_fields_leave_out_what_a_condition_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The condition had no answer, and would be true now: no change of that field evaluates it again."""
    (tmp_path / "pack.yaml").write_text(NARROW)
    (tmp_path / "tests.yaml").write_text(LATER)

    assert run_command(["test", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "(no longer so, but watch.fields leaves out status.phase: a change of that evaluates nothing)" in shown
