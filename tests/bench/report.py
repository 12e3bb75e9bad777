"""Write what was measured into docs/performance.md, and plots beside it: `python -m tests.bench.report`.

What lies between two marks of a part is replaced where there are results of it; the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from tests.bench import budgets, plots, tables
from tests.bench.contestants import ROOT

PAGE, RESULTS = ROOT / "docs/performance.md", ROOT / "tests/bench/results"
MARK = "<!-- generated, {}: {} -->"
#: Part of the page -> which results it shows, and how.
PARTS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "steady": ("steady", tables.steady),
    "rush": ("steady", tables.rush),
    "drain": ("drain", tables.drain),
    "heavy": ("heavy", tables.heavy),
    "churn": ("churn", tables.churn),
    "burst": ("burst", tables.burst),
    "tabs": ("tabs", tables.tabs),
    "growth": ("growth", tables.growth),
    "micro": ("micro", tables.micro),
    "profile": ("profile", tables.profile),
}
#: Name of a plot -> the phase and figure it shows, its title and unit.
BARS = {
    "cpu": ("steady", "cpu_ms_per_change", "CPU per change at a steady rate", "ms"),
    "latency": ("steady", "latency_p99_ms", "Latency at a steady rate, p99", "ms"),
    "memory": ("steady", "peak_memory_mb", "Peak memory at a steady rate", "MB"),
    "rush": ("rush", "done_per_second", "Changes done per second, as fast as they are taken", "per second"),
}


def read(folder: Path) -> dict[str, Any]:
    """All results that there are in a folder, by the name of their part."""
    return {file.stem: orjson.loads(file.read_bytes()) for file in sorted(folder.glob("*.json"))}


def written(page: str, results: Mapping[str, Any], folder: str) -> str:
    """The page with the tables, and images from `folder`, in their places. Raises ValueError where a mark is missing."""
    for part, (source, as_markdown) in PARTS.items():
        if source in results:
            images = "".join(f"\n\n![{title}]({folder}/{name}.svg)" for name, title in _images(part, results))
            page = replaced(page, part, as_markdown(results[source]) + images)
    return replaced(page, "budgets", budgets.table(results))


def drawn(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The plots, by name."""
    if steady := results.get("steady"):
        for name, (phase, figure, title, unit) in BARS.items():
            summaries = [(each["label"], each["summary"][phase].get(figure)) for each in steady["contestants"]]
            yield name, plots.bars(title, unit, [(label, spread) for label, spread in summaries if spread])
    if growth := results.get("growth"):
        series = [
            (each["name"], list(zip(each["sizes"], (cost["median"] for cost in each["cpu_us_per_change"]), strict=True)))
            for each in growth["series"]
        ]
        yield "growth", plots.lines("CPU per change by size", "rules, objects or entries", "µs", series)


def _images(part: str, results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if part == "growth":
        yield "growth", "CPU per change by size"
    yield from ((name, title) for name, (phase, _, title, _) in BARS.items() if phase == part)


def replaced(page: str, part: str, text: str) -> str:
    """The page with a text between the marks of a part. Raises ValueError where they are missing."""
    begin, end = MARK.format(part, "begin"), MARK.format(part, "end")
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page needs the lines {begin!r} and {end!r}; the table goes between them")
    return f"{before}{begin}\n{text}\n{end}{after}"


def main() -> None:
    """Replace the parts of the page that are made from results. Exits 1 where a mark is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder (default: tests/bench/results)")
    parser.add_argument("--page", type=Path, default=PAGE, help="what is written (default: docs/performance.md)")
    options = parser.parse_args()
    results = read(options.results)
    images = options.page.parent / options.page.stem
    images.mkdir(parents=True, exist_ok=True)
    try:
        page = written(PAGE.read_text(), results, images.name)
    except ValueError as missing:
        raise SystemExit(str(missing)) from missing
    for name, plot in drawn(results):
        (images / f"{name}.svg").write_text(plot)
    options.page.write_text(page)


if __name__ == "__main__":
    main()
