"""What the engine is allowed to cost, beside what it was measured to cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: CPU per change, of that of the controller in Go.
OF_GO = 0.7
#: Objects evaluated a second at a start.
PER_SECOND = 1_500
#: With so many jobs: MB and seconds.
MANY, MANY_MB, MANY_S = 50_000, 400, 30
#: With few large objects: MB at the most in any run, and CPU of the event loop's thread without a turn for others.
HEAVY_MB, PAUSE_MS = 300, 200
#: What memory is held after any round of jobs that came and went, in that after the first one.
CHURNED = 1.1
#: What the engine may cost with 20 tabs of the console open, in that without, by figure: its name, and how many times as much.
TABS = {"cpu_ms_per_change": ("CPU per change", 1.15), "latency_p99_ms": ("p99", 1.2)}
#: What the largest size of a series may cost, in that of the smallest; of triggers, each entry of 1,000 in each of 100.
GROWN = {"other-kinds": 1.5, "other-fields": 1.5, "false-rules": 1.5, "objects": 1.5, "aggregate": 1.5, "triggers": 1.5}

Row = tuple[str, str, bool]
"""The budget, what was measured, and whether it was kept."""


def table(results: Mapping[str, Any]) -> str:
    """All budgets of which there are results, by the name of their part."""
    parts = (("steady", _steady), ("drain", _drain), ("heavy", _heavy), ("churn", _churn), ("tabs", _tabs), ("growth", _growth))
    rows = [row for name, rows_of in parts for row in rows_of(results.get(name))]
    lines = ["| budget | measured | kept |", "| --- | --- | --- |"]
    lines += [f"| {budget} | {measured} | {'yes' if kept else '**no**'} |" for budget, measured, kept in rows]
    return "\n".join(lines)


def _steady(results: Any) -> Iterator[Row]:
    if not results:
        return
    found = {each["name"]: each for each in results["contestants"]}
    for name in ("engine", "engine-waves"):
        yield from _beside(found, name, "go", "cpu_ms_per_change", OF_GO, f"CPU per change ≤ {OF_GO:g} times Go's", "ms")
        yield from _beside(found, name, "kopf", "latency_p99_ms", 1.0, "p99 ≤ kopf's", "ms")
        yield from _beside(found, name, "go", "peak_memory_mb", 1.0, "peak memory ≤ Go's", "MB")


def _beside(found: Mapping[str, Any], name: str, peer: str, figure: str, limit: float, budget: str, unit: str) -> Iterator[Row]:
    if name not in found or peer not in found:
        return
    ours, theirs = (found[each]["summary"]["steady"].get(figure) for each in (name, peer))
    budget = f"{budget}: {found[name]['label']}"
    if ours is None or theirs is None:
        yield budget, "no valid run", False
    else:
        share = ours["median"] / theirs["median"]
        yield budget, f"{ours['median']:g} {unit} to {theirs['median']:g} {unit}, {share:.2f} times", share <= limit


def _drain(results: Any) -> Iterator[Row]:
    for case in results["cases"] if results else ():
        jobs, summary = case["jobs"], case["summary"]
        where = f"{jobs:,} finished jobs"
        if not summary:
            yield f"{where}: a start that writes nothing", "no valid run", False
            continue
        rate, memory, took = (summary[name]["median"] for name in ("objects_per_second", "peak_memory_mb", "start_s"))
        yield f"{where}: ≥ {PER_SECOND:,}/s", f"{rate:,.0f}/s", rate >= PER_SECOND
        if jobs == MANY:
            yield f"{where}: < {MANY_MB} MB", f"{memory:g} MB", memory < MANY_MB
            yield f"{where}: < {MANY_S} s", f"{took:g} s", took < MANY_S
        writes = max(run["writes"] for run in case["runs"] if "writes" in run)
        yield f"{where}: no write", f"{writes}", writes == 0


def _heavy(results: Any) -> Iterator[Row]:
    for case in results["cases"] if results else ():
        runs = case["runs"][""]
        if not all("seconds" in run for run in runs):
            yield f"{case['label']}: all annotated", "not in every run", False
            continue
        memory, pause = (max(run[figure] for run in runs) for figure in ("peak_memory_mb", "pause_cpu_ms"))
        yield f"{case['label']}: < {HEAVY_MB} MB", f"{memory} MB", memory < HEAVY_MB
        yield f"{case['label']}: no pause above {PAUSE_MS} ms of CPU", f"{pause} ms", pause <= PAUSE_MS
        lost = sum(bool(run["faults"]) for run in runs)
        yield f"{case['label']}: the Lease is kept", f"lost in {lost} of {len(runs)} runs", not lost


def _churn(results: Any) -> Iterator[Row]:
    if not results:
        return
    rounds = len(results["gone_mb"])
    budget = f"{results['jobs']:,} jobs that came and went {rounds} times: memory ≤ {CHURNED:g} times that after the first time"
    if results["faults"]:
        yield budget, "no valid run", False
    else:
        first, most = results["gone_mb"][0], max(results["gone_mb"])
        yield budget, f"{most:.0f} MB to {first:.0f} MB, {most / first:.2f} times", most <= CHURNED * first


def _tabs(results: Any) -> Iterator[Row]:
    for figure, (label, limit) in TABS.items() if results else ():
        budget = f"{results['tabs']} tabs open: {label} ≤ {limit:g} times that without"
        if not results["summary"]:
            yield budget, "no valid run", False
            continue
        after, before = (results["summary"][name][figure]["median"] for name in ("with", "without"))
        share = results["summary"]["ratio"][figure]["median"]
        yield budget, f"{after:.2f} ms to {before:.2f} ms, {share:.2f} times in the median of the rounds", share <= limit


def _growth(results: Any) -> Iterator[Row]:
    for series in results["series"] if results else ():
        sizes, limit = series["sizes"], GROWN[series["name"]]
        costs = dict(zip(sizes, (each["median"] for each in series["cpu_us_per_change"]), strict=True))
        first, last = (sizes[-2] if series["name"] == "triggers" and len(sizes) > 1 else sizes[0]), sizes[-1]
        share = costs[last] / costs[first]
        budget = f"{series['label']}: at {last:,} ≤ {limit:g} times that at {first:,}"
        if series["name"] == "triggers":
            share *= first / last
            budget = f"{series['label']}: each of {last:,} ≤ {limit:g} times each of {first:,}"
        yield budget, f"{costs[last]:,.0f} µs to {costs[first]:,.0f} µs, {share:.2f} times", share <= limit
