"""Runs the commands of a page, in order, with a stand-in for kubectl."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.tutorial.kubectl import STORE

ROOT = Path(__file__).parents[2]


def fenced(page: str, language: str) -> list[str]:
    """The blocks of a page that are in a language; '' is that of outputs."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in blocks if name == language]


def play(page: str, folder: Path) -> tuple[str, Path]:
    """Run each block of `sh` in one shell; return what they print, and the folder with what they gave to kubectl."""
    programs, store, work = folder / "bin", folder / "store", folder / "work"
    for each in (programs, store, work):
        each.mkdir()
    for name, module in (("rulepack", "engine.cli"), ("kubectl", "tests.tutorial.kubectl")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    blocks = fenced(page, "sh")
    assert blocks
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), STORE: str(store)}
    done = subprocess.run(
        ["bash", "-eu", "-c", "".join(blocks)], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, store


def missing(page: str, output: str) -> list[str]:
    """The lines that a page shows as output, up to an ellipsis, and that did not come."""
    lines = [line.partition("…")[0] for block in fenced(page, "") for line in block.splitlines()]
    return [line for line in lines if line.strip() not in output]
