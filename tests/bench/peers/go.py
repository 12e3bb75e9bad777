"""The peer in Go: `python -m tests.bench.peers.go` builds it, with a kubeconfig as argument it becomes it.

The process is the same before and after, so that what is measured of it by its id is the controller's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.controlplane.gobuild import GoModule, MissingProgram

NAME = "controller"
WITHOUT_GO = """\
the bench measures a controller written in Go beside the engine, and this machine has no Go.
Install Go 1.26 or newer (https://go.dev/dl), or leave it out: python -m tests.bench.steady --only engine --only kopf"""
MODULE = GoModule(
    name="bench-controller",
    folder=Path(__file__).parent / "controller",
    packages={NAME: "./cmd/controller"},
    stamps={},
    minutes=3,
    without_go=WITHOUT_GO,
)


def main() -> None:
    """Build it, and become it where there is something to work on."""
    try:
        program = MODULE.programs(lambda text: print(text, file=sys.stderr, flush=True))[NAME]
    except MissingProgram as missing:
        sys.exit(str(missing))
    if arguments := sys.argv[1:]:
        os.execv(program, [str(program), *arguments])


if __name__ == "__main__":
    main()
