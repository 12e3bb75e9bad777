"""The commands of docs/install.md, and a shell that runs them as somebody does who has a checkout of the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.world import RULES

INSTALL = RULES.parent / "docs/install.md"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$|^#{1,3} ([^\n]+)$", re.MULTILINE | re.DOTALL)


def commands(heading: str, path: Path = INSTALL) -> list[str]:
    """The blocks of shell commands under a heading, up to the next one of any level."""
    return [text for found, text in blocks(path) if found == heading]


def blocks(path: Path = INSTALL) -> Iterator[tuple[str, str]]:
    """Each block of shell commands, with its heading."""
    heading = ""
    for language, text, name in _BLOCK.findall(path.read_text()):
        heading = name or heading
        if language == "sh":
            yield heading, text


class Shell:
    """A shell in a folder that is like a checkout, with kubectl and rulepack."""

    def __init__(self, folder: Path, kubectl: Path, kubeconfig: Path) -> None:
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "kubectl").symlink_to(kubectl)
        self.folder = folder / "rulepack"
        self.folder.mkdir()
        for name in ("config", "rules", "docs"):
            (self.folder / name).symlink_to(RULES.parent / name)
        path = (str(programs), str(Path(sys.executable).parent), os.environ["PATH"])
        self._environment = {"PATH": os.pathsep.join(path), "HOME": str(folder), "KUBECONFIG": str(kubeconfig)}

    def run(self, text: str, patience: float = 120.0) -> str:
        """Run a block of commands, each of which has to succeed; what they print."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text], cwd=self.folder, env=self._environment, timeout=patience,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout
