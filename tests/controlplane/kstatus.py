"""kstatus for the tests, the library by which Flux and others wait for objects, as a program that is built once from a Go module.

`python -m tests.controlplane.kstatus` gets the program ready and says where it is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engine.model.objects import Object
from tests.controlplane.gobuild import GoModule, MissingProgram, Say

PROGRAM = "kstatus"
MODULE = GoModule(
    name=PROGRAM,
    folder=Path(__file__).parent / PROGRAM,
    packages={PROGRAM: f"./cmd/{PROGRAM}"},
    stamps={},
    minutes=1,
    without_go="""\
the tests of the kind RulePack ask kstatus, which is built from a Go module, and this machine has no Go. \
Install Go 1.24 or newer (https://go.dev/dl): the tests then build it once, in about a minute.
`make test-unit` runs the tests that need none of this.""",
)


def program(say: Say = print) -> Path:
    """The path of the program, built where the cache has none. Raises MissingProgram."""
    return MODULE.programs(say)[PROGRAM]


def kstatus(path: Path, obj: Object) -> str:
    """What kstatus says of an object, such as `Current`."""
    done = subprocess.run([path], input=json.dumps(obj), capture_output=True, text=True, check=True)
    return done.stdout.partition(":")[0]


if __name__ == "__main__":
    try:
        print(program())
    except MissingProgram as missing:
        sys.exit(str(missing))
