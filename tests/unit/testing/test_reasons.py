"""What a failing test says of rules that have not done what was expected: what waits, and what had no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import run_command

JANITOR = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: janitor}
spec:
  watch: {apiVersion: batch/v1, kind: Job}
  targets:
    - {apiVersion: batch/v1, kind: Job, verbs: [get, delete]}
  rules:
    - name: delete
      when:
        - object.metadata.labels['keep'] != 'yes'
        - now - timestamp(object.status.completionTime) > duration('24h')
      actions:
        - delete: {}
"""


def job(name: str, ended: str, **labels: str) -> dict[str, Any]:
    """A Job that has ended."""
    meta = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "status": {"completionTime": ended}}


def failed(folder: Path, capsys: pytest.CaptureFixture[str], *steps: Any, options: tuple[str, ...] = ()) -> str:
    """What a failing test of these steps prints."""
    (folder / "pack.yaml").write_text(JANITOR)
    spec = {"packs": ["pack.yaml"], "start": "2026-01-24T22:00:00Z", "tests": [{"name": "one", "steps": steps}]}
    suite = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePackTest", "metadata": {"name": "t"}, "spec": spec}
    (folder / "tests.yaml").write_text(json.dumps(suite))

    assert run_command(["test", str(folder), *options]) == 1
    return capsys.readouterr().out


@pytest.mark.parametrize(("options", "times"), [((), 1), (("--coverage",), 1), (("-v",), 2)])
def test_what_a_suspended_namespace_keeps_waiting_is_named(
    options: tuple[str, ...], times: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No act says it: the rule has fired, and the pack's budget is spent."""
    old = [job(f"j{number}", "2026-01-20T22:00:00Z", keep="no") for number in range(5)]
    absent = [{"apiVersion": "batch/v1", "kind": "Job", "name": each["metadata"]["name"]} for each in old]

    shown = failed(
        tmp_path, capsys, {"params": {"janitor": {"disruptionsPerMinute": 4}}}, {"apply": old}, {"expect": {"absent": absent}},
        options=options,
    )  # fmt: skip

    waits = "waiting: namespace default is suspended: pack janitor would exceed disruptionsPerMinute, 4, for it"
    assert shown.count(waits) == times


def test_a_clause_without_an_answer_is_named_beside_the_false_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps the rule from firing too, and goes on doing so."""
    expected = {"expect": {"rules": {"delete": "fired"}}}

    shown = failed(tmp_path, capsys, {"apply": job("a", "2026-01-24T22:00:00Z")}, expected)

    false = "when[2] is false: now - timestamp(object.status.completionTime) > duration('24h')"
    assert f"skipped: {false}; when[1] has no answer: object.metadata has no field 'labels'" in shown


def test_a_rule_without_an_answer_says_so_once_its_time_has_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is evaluated again when the clause that compares `now` is true."""
    steps: list[Any] = [
        {"apply": job("a", "2026-01-24T22:00:00Z")},
        {"advance": "25h"},
        {"expect": {"rules": {"delete": "fired"}}},
    ]

    shown = failed(tmp_path, capsys, *steps)

    assert "unknown: when[1] has no answer: object.metadata has no field 'labels'" in shown
    assert "is false" not in shown
