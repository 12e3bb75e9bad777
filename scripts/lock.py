"""Write the lock files from pyproject.toml: what runs, what builds the wheel, and all of it with what tests and checks it.

`make lock` runs it where pip-tools is installed. With `--check` it only says whether the locks still belong to pyproject.toml.
A pin that still fits stays as it is; delete the locks first to take newer versions.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
LOCKS = {
    "requirements.lock": "--extra=fast",
    "requirements-build.lock": "--only-build-deps --all-build-deps",
    "requirements-dev.lock": "--all-extras --all-build-deps -c requirements.lock -c requirements-build.lock",
}
# No host name or path of the machine that locks: whoever installs uses the index that their own pip is set up for.
OPTIONS = [
    "--quiet", "--generate-hashes", "--strip-extras", "--no-header",
    "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options",
]  # fmt: skip


def first_line() -> str:
    """The first line of a lock: a digest of everything in pyproject.toml that decides what is resolved."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    asked = [pyproject["build-system"], project["requires-python"], project["dependencies"], project["optional-dependencies"]]
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return f"# Written by `make lock`, for the dependencies in pyproject.toml with sha256 {digest}\n"


def write() -> int:
    """Resolve the locks. Returns the exit code."""
    if sys.version_info[:2] != OLDEST_PYTHON:
        # A newer Python would leave out what only the oldest one needs.
        print("lock: the oldest supported Python is needed: make lock PYTHON=python3.11", file=sys.stderr)
        return 1
    pip_compile = str(Path(sys.executable).with_name("pip-compile"))
    for name, options in LOCKS.items():
        command = [pip_compile, *OPTIONS, *options.split(), f"--output-file={name}", "pyproject.toml"]
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
        lock = ROOT / name
        lock.write_text(first_line() + lock.read_text())
    return 0


def check() -> int:
    """Compare each lock's first line with pyproject.toml. Returns the exit code."""
    stale = [name for name in LOCKS if not (lock := ROOT / name).exists() or not lock.read_text().startswith(first_line())]
    for name in stale:
        print(f"{name}:1: not made from the dependencies that pyproject.toml states now; run `make lock`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(check() if sys.argv[1:] == ["--check"] else write())
