"""Recording the changes of a cluster, and replaying them through rule packs."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from engine.cel import backend
from engine.cli.main import run_command
from engine.cli.record import Recorder
from engine.errors import InvalidText, UsageError
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, Resource
from engine.packs.parse import parse_pack
from engine.testing.recording import Change, read_recording, redacted, redaction
from tests.world import job

RULES = Path(__file__).parents[3] / "rules"
WAVE = {"argocd.argoproj.io/sync-wave": "3"}
START = 1_769_292_000.0


def changed(time: float, phase: str, *, initial: bool = False, **fields: Any) -> Change:
    """A job with a sync-wave has come to a phase."""
    obj = job(phase=phase, annotations=WAVE)
    return Change(START + time, {**obj, "metadata": {**obj["metadata"], "uid": "u", **fields}}, initial=initial)


def written(path: Path, *changes: Change) -> str:
    """A recording."""
    path.write_text("".join(f"{change.line()}\n" for change in changes))
    return str(path)


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    """The exit status and the JSON of a replay."""
    status = run_command(["replay", *arguments, "--format", "json"])
    return status, json.loads(capsys.readouterr().out)


PACK = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: widgets}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets: [{apiVersion: v1, kind: Secret, verbs: [get]}]
  rules: [{name: mark, actions: [{annotate: {annotations: {a: b}}}]}]
"""


async def test_what_packs_watch_and_act_on_is_recorded() -> None:
    """What is there at first is INITIAL, then come changes and deletions; secrets never leave the cluster."""
    clock = FakeClock(START)
    cluster = EmbeddedCluster(clock)
    maps, secrets = (
        Resource(Kind("v1", kind), plural, True) for kind, plural in (("ConfigMap", "configmaps"), ("Secret", "secrets"))
    )
    await cluster.create(maps, "default", {"metadata": {"name": "a"}})
    out, stop = io.StringIO(), asyncio.Event()
    recorder = Recorder(cluster, clock, parse_pack(PACK, "pack.yaml", backend()), [""], redaction(["data.password"]), out)
    running = asyncio.create_task(recorder.run(stop, None))
    await clock.advance(5)
    await cluster.create(secrets, "default", {"metadata": {"name": "s"}, "data": {"key": "c2VjcmV0"}})
    await cluster.patch(maps, "default", "a", {"data": {"password": "secret", "user": "me"}})
    await clock.advance(5)
    await cluster.delete(maps, "default", "a")
    await clock.advance(5)
    stop.set()

    assert await running == 4
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert sorted((line["type"], line["object"]["metadata"]["name"]) for line in lines) == [
        ("CHANGED", "a"), ("CHANGED", "s"), ("DELETED", "a"), ("INITIAL", "a"),
    ]  # fmt: skip
    assert [line["time"] - START for line in lines if line["type"] == "DELETED"] == [10]
    assert "secret" not in out.getvalue() and "c2VjcmV0" not in out.getvalue()
    assert '"user":"me"' in out.getvalue()


def test_redaction_goes_through_lists() -> None:
    """A path blots out the values below it in every item of a list, and leaves the keys."""
    obj = {
        "kind": "Pod",
        "spec": {"containers": [{"env": [{"name": "A", "value": "b"}]}, {}]},
        "metadata": {"managedFields": [1]},
    }
    assert redacted(obj, redaction(["spec.containers.env.value"])) == {
        "kind": "Pod", "spec": {"containers": [{"env": [{"name": "A", "value": "REDACTED"}]}, {}]}, "metadata": {},
    }  # fmt: skip


def test_a_replay_says_what_rules_would_have_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each effect comes with the recorded time; what stays the same has none."""
    file = written(tmp_path / "r.jsonl", changed(0, "Building", initial=True), changed(60, "Succeeded"), changed(61, "Succeeded"))
    status, body = replayed(capsys, file, "--rules", str(RULES / "sync-waves"))
    assert (status, body["changes"]) == (0, 3)
    effects = [(effect["time"] - START, effect["rule"]) for effect in body["effects"]]
    assert effects == [(60, "sync-waves/wave-complete")]


def test_what_the_replay_has_written_stays_until_the_recording_changes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded changes of other things do not undo the replay's own annotations; one of the same annotation does."""
    undone = {**WAVE, "mlops.dev/wave-complete": "9"}
    changes = [changed(0, "Succeeded"), changed(1, "Succeeded", labels={"a": "b"}), changed(2, "Succeeded", annotations=undone)]
    _, body = replayed(capsys, written(tmp_path / "r", *changes), "--rules", str(RULES / "sync-waves"))
    assert [effect["time"] - START for effect in body["effects"]] == [0, 2]


def test_records_of_the_engine_that_ran_then_do_not_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was on record at first is believed; what was recorded later is the replay's own to find out."""
    record = {"fired.rules.mlops.dev/sync-waves.check-block-wave": '{"key":"u/3/1","outcome":"Done"}'}
    blocked = {**WAVE, "mlops.dev/block-wave": "1"}
    before = changed(0, "Building", initial=True, annotations={**blocked, **record})
    later = changed(0, "Building", annotations={**blocked, **record})
    rules = ["--rules", str(RULES / "sync-waves")]
    reported = [
        [effect["rule"] for effect in replayed(capsys, written(tmp_path / name, change), *rules)[1]["effects"]]
        for name, change in (("a", before), ("b", later))
    ]
    assert ["sync-waves/check-block-wave" in rules for rules in reported] == [False, True]


def test_timers_run_out_by_the_recorded_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule with `for` fires between two changes, when its time has come."""
    (tmp_path / "pack.yaml").write_text(PACK.replace("name: mark,", "name: mark, for: 10m,"))
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns", "uid": name}} for name in "ab"
    ]
    changes = [Change(START, maps[0]), Change(START + 3600, maps[1])]
    _, body = replayed(capsys, written(tmp_path / "r", *changes), "--rules", str(tmp_path / "pack.yaml"))
    assert [(effect["time"] - START, effect["object"]) for effect in body["effects"]] == [(600, "ConfigMap ns/a")]


def test_two_versions_of_packs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what differs is reported, and the exit status says whether anything does."""
    old = RULES / "sync-waves" / "pack.yaml"
    new = tmp_path / "new.yaml"
    new.write_text(old.read_text().replace('mlops.dev/completion-time: "', 'example.com/ended: "'))
    file = written(tmp_path / "r.jsonl", changed(0, "Building", initial=True), changed(60, "Succeeded"))
    assert run_command(["replay", file, "--old", str(old), "--new", str(old)]) == 0
    assert capsys.readouterr().out == "2 changes: 0 added, 0 removed, 1 the same\n"
    assert run_command(["replay", file, "--old", str(old), "--new", str(new)]) == 1
    out = capsys.readouterr().out
    assert "1 added, 1 removed, 0 the same" in out
    assert sorted(line[0] for line in out.splitlines()[:2]) == ["+", "-"]


def test_a_replay_always_gives_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in it comes from the machine's clock or from chance."""
    phases = ["Building", "Succeeded", "Failed", "ValidationRunning"] * 5
    file = written(tmp_path / "r.jsonl", *(changed(number, phase) for number, phase in enumerate(phases)))
    answers = [replayed(capsys, file, "--rules", str(RULES))[1] for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(answers[0]["effects"]) > 10


@pytest.mark.parametrize(
    "line",
    ["", "x", "[]", "{}", '{"time": 1, "type": "CHANGED"}', '{"time": "soon", "type": "CHANGED", "object": {}}', "[" * 100_000,
     '{"time": 1, "type": "NEWS", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}}'],
)  # fmt: skip
def test_a_line_that_is_no_change_is_refused(line: str, tmp_path: Path) -> None:
    """With its number, and what was expected."""
    path = tmp_path / "r.jsonl"
    path.write_text(f"{changed(0, 'Building').line()}\n{line}\n")
    if not line:
        assert len(list(read_recording(path))) == 1
        return
    with pytest.raises(InvalidText) as refused:
        list(read_recording(path))
    assert str(refused.value).startswith(f"{path}:2:1: ")


def test_no_recording_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing or an empty file, and options that do not belong together."""
    rules = str(RULES / "sync-waves")
    with pytest.raises(UsageError):
        list(read_recording(tmp_path / "gone"))
    (tmp_path / "empty").write_text("")
    assert run_command(["replay", str(tmp_path / "empty"), "--rules", rules]) == 2
    assert run_command(["replay", str(tmp_path / "empty"), "--old", rules]) == 2
    assert run_command(["record", str(tmp_path / "empty"), "--rules", rules]) == 2


def test_a_flag_of_no_pack_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that either version has is none."""
    file, flags = written(tmp_path / "r", changed(1.0, "Running")), ["--feature-flags", "rollout=Off,sync-waves=Off"]
    sides = ["--old", str(RULES / "sync-waves"), "--new", str(RULES / "rollouts")]
    assert run_command(["replay", file, *sides, *flags]) == 2
    assert "no pack has the feature flag 'rollout'; expected 'rollouts' (did you mean that?)" in capsys.readouterr().err
    assert run_command(["replay", file, *sides, "--feature-flags", "rollouts=Off,sync-waves=Off"]) == 0
    assert run_command(["record", str(tmp_path / "new"), "--for", "soon"]) == 2
    assert "expected a duration" in capsys.readouterr().err
