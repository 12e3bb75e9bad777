"""README.md states what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from engine.cel import backend
from engine.cli.main import COMMANDS, run_command
from engine.packs.parse import parse_pack
from tests.world import POD, RULES, World, pod

ROOT = RULES.parent
TEXT = (ROOT / "README.md").read_text()
(RULE,) = re.findall(r"```yaml\n(# my-rules/pack.yaml\n.*?)```", TEXT, re.DOTALL)


def first_words(heading: str) -> set[str]:
    """The names in code in the first column of the table below a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


async def test_the_first_rule_marks_a_pod_that_keeps_restarting() -> None:
    """A pod whose container has restarted five times gets the label, and no other pod."""
    (pack,) = parse_pack(RULE, "README.md", backend())
    world = World(pack)
    restarted: dict[str, Any] = {**pod("web"), "status": {"containerStatuses": [{"name": "main", "restartCount": 5}]}}
    await world.create(restarted, pod("quiet"))
    await world.settle(60)
    assert (await world.get(POD, "web"))["metadata"]["labels"]["example.com/unstable"] == "true"
    assert "example.com/unstable" not in (await world.get(POD, "quiet"))["metadata"]["labels"]


def test_lint_finds_nothing_in_the_first_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is an example of good style too."""
    (tmp_path / "pack.yaml").write_text(RULE)
    assert run_command(["lint", "--strict", str(tmp_path)]) == 0, capsys.readouterr().out


def test_the_first_screen_fits() -> None:
    """The way to the rule is at most 60 lines, and the rule has about ten."""
    assert TEXT[: TEXT.index("## Where to go next")].count("\n") <= 60
    assert RULE.count("\n") <= 12


def test_every_command_is_listed() -> None:
    """Those beside `run` and `demo`, which stand above; `record` stands with `replay`."""
    named = {words.split()[1] for words in first_words("Tools for people who write rules")}
    assert named | {"run", "demo", "record"} == set(COMMANDS)


def test_every_shipped_pack_is_listed() -> None:
    """A pack is a folder with a pack.yaml."""
    assert first_words("The shipped packs") == {path.parent.name for path in RULES.glob("*/pack.yaml")}


def test_every_folder_is_listed() -> None:
    """Of those that hold what the project is made of."""
    listed = {name.rstrip("/") for name in first_words("Folders")}
    assert listed == {"engine", "rules", "examples", "config", "bundle", "docs", "tests"}
    assert all((ROOT / name).is_dir() for name in listed)
