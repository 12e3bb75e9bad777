"""Where the time of a change goes: a sampling profile of the engine, as it is shipped, under changes as fast as they are taken.

py-spy looks into the running process from outside, so that the engine is not slowed by being watched from within. It may look
into another process as root, or where /proc/sys/kernel/yama/ptrace_scope is 0 (ptrace(2)).
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from tests.bench import workload
from tests.bench.contestants import CONTESTANTS, peer_python
from tests.bench.machine import about
from tests.bench.steady import PATIENCE, at_work, offer
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane

RESULTS = Path(__file__).parent / "results/profile.json"
#: Samples a second; py-spy stops the process for each, for some 100 microseconds.
RATE = 200
#: How many functions are named.
TOP = 20
#: Where a process is that waits.
IDLE = "libc: epoll_pwait"
FRAME = re.compile(r"(?P<function>.+) \((?P<file>.+?)(:\d+)?\)")


def record(jobs: int, changes: int) -> list[str]:
    """The samples of the engine during so many changes: stacks with their numbers, as py-spy writes them."""
    engine = next(contestant for contestant in CONTESTANTS if contestant.name == "engine")
    with ControlPlane(programs()) as plane, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workload.install(plane, jobs)
        stacks, log = Path(folder) / "stacks", Path(folder) / "log"
        with engine.running(plane.kubeconfig_for(workload.NAMESPACE, engine.name), log) as process:
            at_work(process, plane)
            command = [str(peer_python().parent / "py-spy"), "record", "--pid", str(process.pid), "--rate", str(RATE)]
            command += ["--native", "--function", "--full-filenames", "--format", "raw", "--output", str(stacks)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as spy:
                offer(process.pid, plane, ["--jobs", str(jobs), "--first", "0", "--changes", str(changes)])
                spy.send_signal(signal.SIGINT)
                said, _ = spy.communicate(timeout=PATIENCE)
            if not stacks.exists():
                raise SystemExit(f"py-spy could not look into the engine: {said[-1000:]}")
            return stacks.read_text().splitlines()


def tables(stacks: Iterable[str]) -> dict[str, Any]:
    """Percent of the samples at work: by package and by function where they were taken, and of functions with all they call."""
    packages: Counter[str] = Counter()
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack in stacks:
        text, _, number = stack.rpartition(" ")
        frames = [frame for frame in map(_frame, text.split(";")) if frame]
        if not frames or frames[-1] == IDLE:
            continue
        packages[_package(frames[-1])] += int(number)
        own[frames[-1]] += int(number)
        total.update(dict.fromkeys((frame for frame in frames if frame.startswith("engine")), int(number)))
    samples = sum(own.values())
    return {"samples": samples} | {
        name: [[where, round(100 * number / samples, 1)] for where, number in counter.most_common(TOP)]
        for name, counter in (("packages", packages), ("own", own), ("total", total))
    }


def _frame(text: str) -> str:
    """A frame as `package.module: function`, or `library: C`, without the folders of this machine.

    '' for a frame of the interpreter's own, whose time is its caller's.
    """
    found = FRAME.fullmatch(text)
    if not found:
        return ""
    path, function = found["file"], found["function"]
    if library := re.search(r"([^/]+?)(\.[^/]*)?\.so[.\d]*$", path):
        return f"{library[1]}: {function if library[1] == 'libc' and function.isidentifier() else 'C'}"
    if not path.endswith(".py"):
        return "uvloop: C" if path.endswith("loop.c") else ""
    module = re.sub(r"^.*/(site-packages|lib-dynload|lib/python[\d.]+)/|^.*/(?=engine/)", "", path)
    return f"{module.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}: {function}"


def _package(frame: str) -> str:
    module = frame.partition(":")[0].split(".")
    return ".".join(module[:2]) if module[0] == "engine" else module[0]


def main() -> None:
    """Measure, and write the results as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2000, help="how many there are (default %(default)s)")
    parser.add_argument("--changes", type=int, default=6000, help="how many are offered (default %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/profile.json")
    options = parser.parse_args()
    try:
        found = tables(record(options.jobs, options.changes))
    except MissingProgram as missing:
        sys.exit(str(missing))
    for name, percent in found["total"]:
        print(f"{percent:5.1f} %  {name}")
    results = about("tests.bench.profile") | {"jobs": options.jobs, "changes": options.changes, "rate": RATE, **found}
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
