"""Programs for the tests that are built once from a Go module, and kept outside the checkout so that a fresh clone reuses them.

They are kept in `${XDG_CACHE_HOME:-~/.cache}/rulepack/<name>/<hash>/`; the hash is of the Go module, so that another
version never passes for this one. Each program is built when a test first needs it; those of the same name and module share
a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

#: Seconds between two signs of life while Go builds.
HEARTBEAT = 30.0

Programs = Mapping[str, Path]
Say = Callable[[str], None]


class MissingProgram(Exception):
    """The machine lacks a program that the tests run, and cannot build it; the text says how to have it."""


@dataclass(frozen=True, slots=True)
class GoModule:
    """A Go module of this repository, and the programs that are built from it."""

    name: str
    """What it is, in messages and as the folder of the cache."""
    folder: Path
    packages: Mapping[str, str]
    """The Go package of each program."""
    stamps: Mapping[str, str]
    """Values of string variables of Go packages that are set when linking."""
    minutes: int
    """About how long the first build takes."""
    without_go: str
    """What to do on a machine that has no Go."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the build, such as GOFLAGS."""

    def programs(self, say: Say = print) -> Programs:
        """The path of each program, built where the cache has none; `say` gets one line per step.

        Raises MissingProgram where there is no Go, and where the build fails.
        """
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rulepack" / self.name
        folder = cache / self._hash()
        if inside := in_folder(folder, self.packages):
            return inside
        if not shutil.which("go"):
            raise MissingProgram(self.without_go)
        folder.mkdir(parents=True, exist_ok=True)
        with self._locked(cache / "lock", say):
            missing = {name: package for name, package in self.packages.items() if not in_folder(folder, {name: package})}
            if missing:
                self._build(missing, folder, say)
        return {name: folder / name for name in self.packages}

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for path in (self.folder / "go.mod", self.folder / "go.sum", *sorted((self.folder / "cmd").rglob("*.go"))):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    @contextmanager
    def _locked(self, path: Path, say: Say) -> Iterator[None]:
        """Hold a lock among processes; the kernel frees it when its holder dies."""
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{self.name}: another process is building {' and '.join(self.packages)}; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _build(self, packages: Mapping[str, str], folder: Path, say: Say) -> None:
        say(f"{self.name}: building {' and '.join(packages)} with Go; the first time takes about {self.minutes} minutes")
        started = time.monotonic()
        flags = " ".join(("-s -w", *(f"-X {name}={value}" for name, value in self.stamps.items())))
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as scratch:
            for program, package in packages.items():
                target = Path(scratch) / program
                command = ["go", "build", "-buildvcs=false", "-trimpath", f"-ldflags={flags}", "-o", f"{target}", package]
                self._run(command, started, say)
                target.rename(folder / program)
        say(f"{self.name}: built in {time.monotonic() - started:.0f} s, kept in the cache for next time")

    def _run(self, command: list[str], started: float, say: Say) -> None:
        environment = {**os.environ, **self.settings}
        with (
            tempfile.TemporaryFile("w+") as log,
            subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log) as build,
        ):
            try:
                while build.returncode is None:
                    try:
                        build.wait(HEARTBEAT)
                    except subprocess.TimeoutExpired:
                        say(f"{self.name}: still building, {time.monotonic() - started:.0f} s so far")
            finally:
                build.kill()
            if build.returncode:
                log.seek(0)
                raise MissingProgram(f"`go build {command[-1]}` in {self.folder} failed:\n{log.read()[-4000:]}")


def in_folder(folder: Path, names: Mapping[str, str]) -> Programs | None:
    """The programs of these names in a folder, None where one is missing."""
    inside = {name: folder / name for name in names}
    return inside if all(os.access(path, os.X_OK) for path in inside.values()) else None


def required_version(folder: Path, module: str) -> str:
    """The version of a module that the go.mod in a folder requires, such as v1.34.0. Raises MissingProgram where it does not."""
    found = re.search(rf"^(?:require|\s)\s*{re.escape(module)} (v\S+)$", (folder / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise MissingProgram(f"{folder / 'go.mod'} does not require {module}")
    return found[1]


def source(folder: Path, module: str, without_go: str) -> Path:
    """The folder of a module's files in the Go module cache, at the version of the go.mod in `folder`; fetched if need be.

    Raises MissingProgram where there is no Go, and where the module cannot be fetched.
    """
    try:
        for command in (["go", "mod", "download", module], ["go", "list", "-m", "-f", "{{.Dir}}", module]):
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise MissingProgram(without_go) from None
    except subprocess.CalledProcessError as error:
        raise MissingProgram(f"`{' '.join(error.cmd)}` in {folder} failed:\n{error.stderr}") from error
    return Path(done.stdout.strip())
