"""Write what was measured into docs/performance.md: `python -m tests.bench.report`."""

from __future__ import annotations

from typing import Any

import orjson

from tests.bench.contestants import ROOT
from tests.bench.steady import RESULTS

PAGE = ROOT / "docs/performance.md"
BEGIN, END = "<!-- generated from {}: begin -->", "<!-- generated from {}: end -->"
#: Heading and figure of each column; how many decimals a figure has.
COLUMNS = (
    ("CPU per change, ms", "cpu_ms_per_change", 2),
    ("latency p50, ms", "latency_p50_ms", 1),
    ("p99, ms", "latency_p99_ms", 1),
    ("max, ms", "latency_max_ms", 0),
    ("peak memory, MB", "peak_memory_mb", 0),
    ("writes of the job per change", "writes_per_change", 2),
    ("other writes per change", "other_writes_per_change", 2),
)


def steady(results: dict[str, Any]) -> str:
    """The results of tests.bench.steady as Markdown."""
    return "\n\n".join((_conditions(results), _table(results["contestants"]), _commands(results["contestants"])))


def _conditions(results: dict[str, Any]) -> str:
    where, work, versions = results["machine"], results["work"], results["versions"]
    return (
        f"Taken {results['taken']} at commit {versions['commit']} with `{results['command']}` on {where['cores']} cores of "
        f"{where['cpu']}, {where['memory_gb']} GB, {where['kernel']}; load average before the start {where['load_before']}.\n"
        f"{work['jobs']} jobs with {work['results_per_job']} cell results each ({work['job_bytes'] / 1000:.1f} kB of JSON), "
        f"{work['rate']:g} changes a second for {work['seconds']:g} s, {work['rounds']} rounds.\n"
        f"Packs: {', '.join(results['packs'])}.\n"
        f"Versions: {', '.join(f'{name} {version}' for name, version in versions.items() if name != 'commit')}."
    )


def _table(contestants: list[dict[str, Any]]) -> str:
    head = ["", *(heading for heading, _, _ in COLUMNS)]
    lines = [head, ["---", *("---:" for _ in COLUMNS)]]
    notes = []
    for contestant in contestants:
        label, summary = contestant["label"], contestant["summary"]
        invalid = [run for run in contestant["runs"] if run["faults"]]
        lines.append([label, *(_cell(summary.get(figure), decimals) for _, figure, decimals in COLUMNS)])
        if invalid:
            notes.append(f"{label}: {len(invalid)} of {len(contestant['runs'])} runs invalid, the first because {_why(invalid)}.")
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return "\n\n".join((table, "Median of the rounds, and in brackets the lowest and the highest of them.", *notes))


def _cell(spread: dict[str, float] | None, decimals: int) -> str:
    if spread is None:
        return "invalid"
    median, low, high = (f"{spread[name]:.{decimals}f}" for name in ("median", "min", "max"))
    return median if low == high else f"{median} ({low}–{high})"  # noqa: RUF001 - a range


def _why(invalid: list[dict[str, Any]]) -> str:
    reason: str = invalid[0]["faults"][0]
    return reason.splitlines()[0]


def _commands(contestants: list[dict[str, Any]]) -> str:
    width = max(len(contestant["label"]) for contestant in contestants)
    commands = "\n".join(f"{contestant['label']:{width}}  {contestant['command']}" for contestant in contestants)
    return f"```\n{commands}\n```"


def main() -> None:
    """Replace the part of the page that is made from the results."""
    begin, end = BEGIN.format(RESULTS.name), END.format(RESULTS.name)
    before, _, rest = PAGE.read_text().partition(begin)
    _, _, after = rest.partition(end)
    if not rest or end not in rest:
        raise SystemExit(f"{PAGE.relative_to(ROOT)} needs the lines {begin!r} and {end!r}; the table goes between them")
    PAGE.write_text(f"{before}{begin}\n{steady(orjson.loads(RESULTS.read_bytes()))}\n{end}{after}")


if __name__ == "__main__":
    main()
