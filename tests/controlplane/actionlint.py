"""actionlint for the tests, which checks GitHub's workflows, built once from its Go module.

`python -m tests.controlplane.actionlint` gets the program ready and says where it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.controlplane.gobuild import GoModule, MissingProgram, Say

PROGRAM = "actionlint"
MODULE = GoModule(
    name=PROGRAM,
    folder=Path(__file__).parent / PROGRAM,
    packages={PROGRAM: f"github.com/rhysd/{PROGRAM}/cmd/{PROGRAM}"},
    stamps={},
    minutes=1,
    without_go="""\
the tests of GitHub's workflows run actionlint, which is built from a Go module, and this machine has no Go. \
Install Go 1.25 or newer (https://go.dev/dl): the tests then build it once, in less than a minute.
`make test-unit` runs the tests that need none of this.""",
)


def program(say: Say = print) -> Path:
    """The path of the program, built where the cache has none. Raises MissingProgram."""
    return MODULE.programs(say)[PROGRAM]


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))
