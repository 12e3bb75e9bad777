"""oauth2-proxy for the test of the console behind it, built once from its Go module.

`python -m tests.controlplane.oauth2_proxy` gets the program ready and says where it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.controlplane.gobuild import GoModule, MissingProgram, Say

PROGRAM = "oauth2-proxy"
MODULE = GoModule(
    name=PROGRAM,
    folder=Path(__file__).parent / PROGRAM,
    packages={PROGRAM: "github.com/oauth2-proxy/oauth2-proxy/v7"},
    stamps={},
    minutes=2,
    without_go="""\
the test of the console behind nginx and oauth2-proxy builds the second from a Go module, and this machine has no Go. \
Install Go 1.26 or newer (https://go.dev/dl): the test then builds it once, in two minutes.""",
)


def program(say: Say = print) -> Path:
    """The path of the program, built where the cache has none. Raises MissingProgram."""
    return MODULE.programs(say)[PROGRAM]


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))
