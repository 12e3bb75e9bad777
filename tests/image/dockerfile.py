"""Dockerfile and .dockerignore, read and played: what a container engine would make of them, in a folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from scripts.bundle import ROOT


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, with its continuation lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The text at blanks, without flags."""
        return [word for word in self.text.split() if not word.startswith("--")]


def stages() -> list[list[Instruction]]:
    """The Dockerfile's instructions by stage; what comes before the first FROM is the first entry."""
    found: list[list[Instruction]] = [[]]
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, text = line.partition(" ")
            if name == "FROM":
                found.append([])
            found[-1].append(Instruction(name, re.sub(r"\s+", " ", text.strip())))
    return found


def context() -> set[str]:
    """The paths of the files that .dockerignore leaves in the context: the last pattern that matches a path or a folder above
    it decides (docker: build context, .dockerignore files).
    """
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    return {path for path in _files() if not _ignored(path, patterns)}


def _files() -> Iterator[str]:
    """Every file of the folder, but for what lies in those that a build makes."""
    done = subprocess.run(["git", "ls-files", "-co", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return (path for path in done.stdout.split("\0") if path and not path.startswith((".venv/", "build/")))


def _ignored(path: str, patterns: Sequence[str]) -> bool:
    parts = [path, *(str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")]
    ignored = False
    for pattern in patterns:
        bare = pattern.removeprefix("!")
        if any(_matches(part, bare) for part in parts):
            ignored = not pattern.startswith("!")
    return ignored


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(path.rpartition("/")[2], pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


def copied() -> set[str]:
    """The files of the context that an instruction copies."""
    sources = [
        source
        for stage in stages()
        for each in stage
        if each.name == "COPY" and "--from" not in each.text
        for source in each.words[:-1]
    ]
    return {path for path in context() if any(path == one or path.startswith(f"{one}/") for one in sources)}


def play(stage: Sequence[Instruction], root: Path, env: dict[str, str]) -> None:
    """Play a stage: its COPY from the context and its RUN, with /src and /opt in a folder. Fails where a step does.

    What `env` sets goes before the stage's ENV.
    """
    work = root
    for each in stage:
        match each.name:
            case "WORKDIR":
                work = root / each.text.lstrip("/")
                work.mkdir(parents=True)
            case "ENV":
                env = dict(pair.split("=", 1) for pair in each.words) | env
            case "COPY":
                _copy(each.words[:-1], work / each.words[-1])
            case "RUN":
                command = each.text.replace("/opt/", f"{root}/opt/")
                done = subprocess.run(command, shell=True, cwd=work, env=env, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"RUN {each.text}\n{done.stdout}{done.stderr}"


def _copy(sources: Sequence[str], target: Path) -> None:
    """A file into a folder, or what lies in a folder into another."""
    for path in context():
        for source in sources:
            inside = path == source or path.startswith(f"{source}/")
            if inside:
                into = target / path.removeprefix(source).lstrip("/") if path != source else target / Path(path).name
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, into)
