"""Rules that pages of docs/ show for copying: they are without faults, and do what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.cli.main import run_command

DOCS = Path(__file__).parents[3] / "docs"
HEAD = "apiVersion: rules.mlops.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: page}}\n"


def shown(page: str, part: str) -> str:
    """The one piece of YAML on a page that holds a text, as a rule pack."""
    pieces = [match[1] for match in re.finditer(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)]
    (piece,) = (piece for piece in pieces if part in piece)
    return HEAD.format(kind="RulePack") + str(piece)


def check(folder: Path, pack: str, steps: str) -> None:
    """Lint a pack strictly, and run a test with these steps, each in a line of its own."""
    (folder / "pack.yaml").write_text(pack)
    lines = "".join(f"        - {step}\n" for step in steps.strip().splitlines())
    tests = f"spec:\n  tests:\n    - name: as the page says\n      steps:\n{lines}"
    (folder / "tests.yaml").write_text(HEAD.format(kind="RulePackTest") + tests)
    assert run_command(["lint", "--strict", str(folder)]) == 0
    assert run_command(["test", str(folder)]) == 0


def data(value: str) -> str:
    """The step that gives the ConfigMap a value."""
    return f"apply: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, labels: {{reload: 'yes'}}}}, data: {{k: {value}}}}}"


CHANGED, NOTHING = "expect: {events: [{reason: Changed}]}", "expect: {events: []}"


@pytest.mark.parametrize(
    "steps",
    [
        [data("one"), NOTHING, data("one"), NOTHING],
        [data("one"), data("two"), CHANGED, "advance: 1h", data("one"), CHANGED],
        [data("one"), "stop: true", data("two"), "start: true", CHANGED],
    ],
    ids=["installed", "there and back", "while no operator runs"],
)
def test_what_was_seen_is_recorded_and_compared(steps: list[str], tmp_path: Path) -> None:
    """Each change is found, once; what is there when the pack is installed is none."""
    check(tmp_path, shown("watching.md", "vars.seen"), "\n".join(steps))


def test_a_looked_up_object_may_lack_a_field(tmp_path: Path) -> None:
    """The digest of a ConfigMap without data is that of an empty mapping."""
    steps = """
apply: {apiVersion: v1, kind: ConfigMap, metadata: {name: web-settings}}
apply: {apiVersion: apps/v1, kind: Deployment, metadata: {name: web, labels: {restart: auto}}}
expect: {rules: {note-version: fired}}
"""
    check(tmp_path, shown("lookups.md", "note-version"), steps)


def test_a_change_restarts_and_the_installation_does_not(tmp_path: Path) -> None:
    """The first look writes the digest down; other data roll the Deployment out, and so does what changes while none runs."""
    template = "spec: {template: {metadata: {annotations: {example.com/content: 44136fa355b3678a}}}}"
    untouched = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: null}}"
    settings = "apiVersion: v1, kind: ConfigMap, metadata: {name: web-settings}"
    steps = f"""
apply: {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web, labels: {{reload: auto}}}}}}
apply: {{{settings}, data: {{color: red}}}}
expect: {{acts: [{{action: annotate, outcome: done}}], objects: {untouched}}}
restart: true
advance: 1h
expect: {{nothing: true, objects: {untouched}}}
apply: {{{settings}, data: null}}
expect: {{acts: [{{action: patch, outcome: done}}, {{action: annotate, outcome: done}}]}}
expect: {{objects: {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web}}, {template}}}}}
"""
    check(tmp_path, shown("lookups.md", "example.com/content"), steps)
