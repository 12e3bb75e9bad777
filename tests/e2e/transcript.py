"""The commands of a document with what they print, and a shell that runs them in order."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.controlplane.kubectl import Kubectl
from tests.world import RULES

DOCS = RULES.parent / "docs"


class Step(NamedTuple):
    """A command, and what the document says that it prints."""

    command: str
    output: str


def play(kubectl: Kubectl, folder: Path, before: Callable[[Step], None], name: str = "rulepacks.md") -> int:
    """Run each command of a document in a folder, in which its files are written; how many there are.

    Fails where one prints anything else.

    The operator's namespace is kubectl's. `before` is called before each command, to wait for what it shows.
    """
    document = (DOCS / name).read_text()
    for text in _blocks(document, "yaml"):
        comment, _, content = text.partition("\n")
        if comment.startswith("# "):
            (folder / comment.removeprefix("# ")).write_text(content)
    environment = kubectl.environment | {"PATH": f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"}
    written = _steps(document)
    for step in written:
        before(step)
        command, output = (text.replace("rulepack-system", kubectl.namespace) for text in step)
        done = subprocess.run(
            ["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(_pattern(output), _squeezed(done.stdout)), f"{command} printed:\n{done.stdout}\nnot:\n{output}"
    return len(written)


def _blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def _steps(document: str) -> list[Step]:
    """The commands of a document, in order."""
    parts = [part for block in _blocks(document, "console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [Step(*part.split("\n", 1)) for part in parts]


def _pattern(text: str) -> str:
    """What matches an output: ages are of this moment, columns as wide as names are, … stands for any lines."""
    lines = []
    for line in _squeezed(text).splitlines():
        words = [r"\d+[ms]\S*" if re.fullmatch(r"\d+s", word) else re.escape(word) for word in line.split()]
        lines.append(r"(?s:.*)" if line == "…" else r"[ ]*" + r"[ ]+".join(words) + r"[ ]*\n")
    return "".join(lines)


def _squeezed(text: str) -> str:
    """The lines of an output that are not blank."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.strip())
