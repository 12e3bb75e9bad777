"""Go modules whose data the tests read, pinned by go.mod and go.sum in this folder; nothing of them is built."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from tests.controlplane.gobuild import MissingProgram

FOLDER = Path(__file__).parent
WITHOUT_GO = """\
the conformance tests of CEL read the official tests, and the rules of real CustomResourceDefinitions,
         from Go modules; this machine \
has no Go. Install Go 1.24 or newer (https://go.dev/dl). `make test-unit` runs the tests that need none of this."""


@cache
def module(name: str) -> Path:
    """The folder of a module in the Go module cache, fetched where it is not there. Raises MissingProgram."""
    try:
        for command in (["go", "mod", "download", name], ["go", "list", "-m", "-f", "{{.Dir}}", name]):
            done = subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise MissingProgram(WITHOUT_GO) from None
    except subprocess.CalledProcessError as error:
        raise MissingProgram(f"`{' '.join(error.cmd)}` in {FOLDER} failed:\n{error.stderr}") from error
    return Path(done.stdout.strip())
