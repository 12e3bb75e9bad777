"""Instructions of a change with all packs, here and in other checkouts: nearly the same however busy the machine is.

valgrind counts them (Debian's package of that name); what a start costs is left out, as the difference of two runs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
JOBS = CHANGES = 100
#: Rounds of a run and of one that is longer.
ROUNDS = 1, 4


def counted(text: str) -> int:
    """The instructions of a process, by what cachegrind says at its end."""
    found = re.search(r"I *refs: +([\d,]+)", text)
    if found is None:
        raise SystemExit(f"valgrind has counted nothing: {text[-1000:]}")
    return int(found[1].replace(",", ""))


def run(checkout: Path, rounds: int) -> int:
    """The instructions of a process that makes so many rounds of changes with the engine and the packs of a checkout."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/counts"]
        command = [*valgrind, str(checkout / ".venv/bin/python"), "-P", str(Path(__file__).resolve()), "--rounds", str(rounds)]
        environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
        try:
            done = subprocess.run(command, cwd=checkout, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        except FileNotFoundError as missing:
            raise SystemExit(f"{missing.filename} is missing; expected valgrind, and a checkout with its .venv") from None
    return counted(done.stderr)


async def change(rounds: int) -> None:
    """Make changes: so many rounds of them."""
    from tests.bench import growth

    bench, changes = growth.build("objects", JOBS)
    await bench.settle()
    gc.disable()  # which would run at other times in the two runs
    for _ in range(rounds):
        await bench.change(growth._status, changes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each checkout, and print millions of instructions for each change."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--other", action="append", default=[], type=Path, help="a checkout with its .venv; may be repeated")
    parser.add_argument("--rounds", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rounds is not None:
        asyncio.run(change(options.rounds))
        sys.stdout.flush()
        os._exit(0)  # an end of its own length is no part of it
    for checkout in (ROOT, *options.other):
        short, long = (run(checkout.resolve(), rounds) for rounds in ROUNDS)
        each = (long - short) / (ROUNDS[1] - ROUNDS[0]) / CHANGES
        print(f"{checkout.name}: {each / 1e6:.3f} million instructions for each change", flush=True)


if __name__ == "__main__":
    main()
