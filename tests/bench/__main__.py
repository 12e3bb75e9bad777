"""All measurements, one after the other, and the page about them: `make bench`.

A part that fails says so; the others go on. `--quick` tries whether everything works: its figures mean little, and go to
build/bench-quick, not into docs/performance.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench import report
from tests.bench.contestants import ROOT

QUICK = ROOT / "build/bench-quick"
#: Part -> what the whole and the quick form add to `python -m tests.bench.<part> --output FILE`.
PARTS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "steady": ((), ("--jobs", "200", "--seconds", "5", "--rounds", "1")),
    "drain": ((), ("--jobs", "2000", "--rounds", "1")),
    "heavy": ((), ("--objects", "10")),
    "churn": ((), ("--jobs", "400", "--rounds", "3")),
    "burst": ((), ("--jobs", "500", "--changes", "100", "--rounds", "1")),
    "tabs": ((), ("--jobs", "200", "--seconds", "8", "--rounds", "1")),
    "growth": ((), ("--largest", "1000", "--rounds", "1")),
    "micro": (("--quiet",), ("--quiet", "--processes", "1", "--values", "1", "--loops", "5", "--warmups", "1")),
    "profile": ((), ("--jobs", "200", "--changes", "400")),
}


def measured(part: str, folder: Path, quick: bool) -> int:
    """Run a part, with its result in the folder; its exit code."""
    file = folder / f"{part}.json"
    file.unlink(missing_ok=True)  # an old result would look like one of this run
    began = time.monotonic()
    print(f"=== {part}", flush=True)
    output = "--results" if part == "micro" else "--output"  # pyperf has an --output of its own
    command = [sys.executable, "-m", f"tests.bench.{part}", f"{output}={file.relative_to(ROOT)}", *PARTS[part][quick]]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    print(f"=== {part}: {'ended with status ' + str(code) if code else 'done'} in {time.monotonic() - began:.0f} s", flush=True)
    return code


def main() -> None:
    """Measure, and write it up. Exits 1 where a part failed or has invalid runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="in 5 minutes, with little to say, written to build/bench-quick")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated (default: all)")
    options = parser.parse_args()
    folder, page = (QUICK, QUICK / "performance.md") if options.quick else (report.RESULTS, report.PAGE)
    folder.mkdir(parents=True, exist_ok=True)
    failed = [part for part in PARTS if part in (options.only or PARTS) and measured(part, folder, options.quick)]
    command = [sys.executable, "-m", "tests.bench.report", "--results", str(folder), "--page", str(page)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        failed.append("report")
    print(f"Written to {page.relative_to(ROOT)}" + (f"; look at: {', '.join(failed)}" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
