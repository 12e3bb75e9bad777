"""The example of engine/README.md is a whole action: it has types, and works once it stands in the table."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from engine.actions import ACTIONS
from engine.cel import backend
from engine.model.objects import Kind
from engine.packs.parse import parse_pack
from tests.world import World, named

ROOT = Path(__file__).parents[3]
CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: greetings}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  rules:
    - {name: hello, when: "true", actions: [{greet: {who: '${object.metadata.name}'}}]}
"""


@pytest.fixture
def greet(tmp_path: Path) -> Path:
    """The example as a file."""
    (text,) = re.findall(r"```python\n(.*?)```", (ROOT / "engine" / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "greet.py"
    path.write_text(f'{text}\n\nADDED: "type[Action]" = GreetAction\n'.replace("import Body,", "import Action, Body,"))
    return path


def test_the_example_has_types(greet: Path) -> None:
    """mypy --strict takes it, as an action too."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", greet],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["Success: no issues found in 1 source file"])


async def test_the_example_works(greet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file and one line in the table are all that is needed."""
    monkeypatch.setitem(ACTIONS, "greet", runpy.run_path(str(greet))["GreetAction"])
    (pack,) = parse_pack(PACK, "pack.yaml", backend())
    world = World(pack)
    await world.create(named(CONFIG, "moon"))

    await world.settle()

    assert await world.annotations(CONFIG, "moon") == {"example.com/greeting": "Hello moon"}
