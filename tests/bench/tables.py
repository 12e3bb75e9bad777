"""What was measured, as Markdown: one function for each file of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.figures import spread

Results = Mapping[str, Any]
Spread = Mapping[str, float]
#: Heading and figure of each column; how many decimals a figure has.
Columns = Sequence[tuple[str, str, int]]
#: Labels, figures with their spread, and all runs, those with faults too.
Row = tuple[Sequence[str], Mapping[str, Spread], Sequence[Results]]
MEMORY = ("peak memory, MB", "peak_memory_mb", 0)
STEADY: Columns = (
    ("CPU per change, ms", "cpu_ms_per_change", 2), ("latency p50, ms", "latency_p50_ms", 1), ("p99, ms", "latency_p99_ms", 1),
    ("max, ms", "latency_max_ms", 0), MEMORY, ("writes of the job per change", "writes_per_change", 2),
    ("other writes per change", "other_writes_per_change", 2),
)  # fmt: skip
RUSH: Columns = (
    ("changes done per second", "done_per_second", 0), ("changes taken by the server per second", "taken_per_second", 0),
    ("CPU per change, ms", "cpu_ms_per_change", 2), ("latency p50, ms", "latency_p50_ms", 0), ("p99, ms", "latency_p99_ms", 0),
    MEMORY,
)  # fmt: skip
DRAIN: Columns = (
    ("objects per second", "objects_per_second", 0), ("CPU per object, µs", "cpu_us_per_object", 0),
    ("from start to the last, s", "start_s", 1), MEMORY, ("relist: CPU per object, µs", "relist_cpu_us_per_object", 0),
)  # fmt: skip
HEAVY: Columns = (
    MEMORY, ("pause, ms of CPU", "pause_cpu_ms", 0), ("by the clock, ms", "pause_ms", 0), ("CPU, s", "cpu_s", 1),
    ("all annotated after, s", "seconds", 0),
)  # fmt: skip
BURST: Columns = (
    ("lag p50, ms", "lag_p50_ms", 0), ("p99, ms", "lag_p99_ms", 0), ("delivery p50, ms", "delivery_p50_ms", 0),
    ("own p50, ms", "own_p50_ms", 0),
    ("p99, ms", "own_p99_ms", 0), ("patch p50, ms", "patch_p50_ms", 0), ("p99, ms", "patch_p99_ms", 0),
    ("a status write p50, ms", "status_write_p50_ms", 0),
    ("CPU per change, ms", "cpu_ms_per_change", 2), ("waited for a core, s", "burst_waited_s_0", 1),
    ("peak memory, MB", "peak_memory_mb_0", 0),
)  # fmt: skip
TABS: Columns = (("CPU per change, ms", "cpu_ms_per_change", 2), ("latency p99, ms", "latency_p99_ms", 2))
SPREAD = "Median of the rounds, and in brackets the lowest and the highest of them."


def steady(results: Results) -> str:
    """The results of tests.bench.steady, changes at a rate."""
    work = results["work"]
    conditions = (
        f"{_taken(results)}\n"
        f"{work['jobs']} jobs with {work['results_per_job']} cell results each ({work['job_bytes'] / 1000:.1f} kB of JSON), "
        f"{work['rate']:g} changes a second for {work['seconds']:g} s, rounds: {work['rounds']}.\n"
        f"Packs: {', '.join(results['packs'])}.\n"
        f"Versions: {', '.join(f'{name} {version}' for name, version in results['versions'].items() if name != 'commit')}."
    )
    return "\n\n".join((conditions, _contestants(results, "steady", STEADY), _commands(results["contestants"])))


def rush(results: Results) -> str:
    """The results of tests.bench.steady, changes as fast as the server takes them."""
    work = results["work"]
    conditions = f"In the same runs: one change of each of the {work['jobs']} jobs, {work['in_flight']} under way at any time."
    return "\n\n".join((conditions, _contestants(results, "rush", RUSH)))


def drain(results: Results) -> str:
    """The results of tests.bench.drain."""
    rows = [((f"{case['jobs']:,} jobs", f"{len(case['runs'])}"), case["summary"], case["runs"]) for case in results["cases"]]
    return "\n\n".join((_taken(results), _spreads(("", "rounds"), rows, DRAIN)))


def heavy(results: Results) -> str:
    """The results of tests.bench.heavy."""
    head = ["", "engine", "runs", *(heading for heading, _, _ in HEAVY), "Lease lost"]
    lines, notes = [head, ["---", "---", *["---:"] * (len(HEAVY) + 2)]], []
    for case in results["cases"]:
        for name, runs in case["runs"].items():
            label, engine = case["label"].replace(case["label"].split()[0], str(case["objects"]), 1), name or "now"
            cells = []
            for _, figure, decimals in HEAVY:
                values = [run[figure] for run in runs if figure in run]
                cells.append(_cell(spread(values), decimals) if values else "never")
            lost = sum(any("Lease" in fault or "leading" in fault for fault in run["faults"]) for run in runs)
            lines.append([label, engine, str(len(runs)), *cells, f"in {lost}" if lost else "no"])
            late = [fault for run in runs for fault in run["faults"] if fault.endswith(" s")]
            notes += [f"{label}, {engine}: {len(late)} of {len(runs)} runs did not end, the first: {late[0]}."] if late else []
    return "\n\n".join((_taken(results), _markdown(lines), SPREAD, *notes))


def churn(results: Results) -> str:
    """The results of tests.bench.churn."""
    lines = [["round", "memory with the jobs, MB", "once they are gone, MB"], ["---:"] * 3]
    lines.append(["before", "", f"{results['before_mb']:.0f}"] if "before_mb" in results else ["before", "", "invalid"])
    pairs = zip(results["present_mb"], results["gone_mb"], strict=False)  # a run that failed may lack the last one
    lines += [[str(number), f"{present:.0f}", f"{gone:.0f}"] for number, (present, gone) in enumerate(pairs, 1)]
    return "\n\n".join((f"{_taken(results)} {results['jobs']:,} jobs in each round.", _markdown(lines), *results["faults"]))


def burst(results: Results) -> str:
    """The results of tests.bench.burst, and what the replicas of one engine cost beside each other."""
    what = f"{results['changes']} changes within {results['changes'] / results['rate']:g} s, of {results['jobs']:,} jobs."
    rows = [((each["label"],), each["summary"], each["runs"]) for each in results["contestants"]]
    head = ["replica", "peak memory, MB", "CPU at rest, % of a core", "CPU for a burst, s"]
    lines = [head, ["---", *["---:"] * 3]]
    for each in results["contestants"]:
        names = [f"{figure}_{{}}" for figure in ("peak_memory_mb", "rest_cpu_percent", "burst_cpu_s")]
        for number in range(9):
            found = [each["summary"].get(name.format(number)) for name in names]
            if each["name"] == "engine" and None not in found:
                replica = f"standby {number}" if number else "leader"
                lines.append([replica, *(_cell(figure, decimals) for figure, decimals in zip(found, (0, 1, 2), strict=True))])
    measured = {figure for each in results["contestants"] for figure in each["summary"]}  # results of 2026-11-28 lack some
    columns = [column for column in BURST if column[1] in measured]
    return "\n\n".join((f"{_taken(results)} {what}", _spreads(("",), rows, columns), _markdown(lines)))


def tabs(results: Results) -> str:
    """The results of tests.bench.tabs."""
    load = f"{results['jobs']:,} jobs, {results['rate']:g} changes a second for {results['seconds']:g} s"
    what = f"{load}, {results['rounds']} rounds with {results['tabs']} tabs and as many without them."
    labels = {"without": "no tab open", "with": f"{results['tabs']} tabs open"}
    rows: list[Row] = [((label,), results["summary"].get(name, {}), results["runs"][name]) for name, label in labels.items()]
    rows.append((("with tabs, in that without, of each round",), results["summary"].get("ratio", {}), ()))
    return "\n\n".join((f"{_taken(results)} {what}", _spreads(("",), rows, TABS)))


def watches(results: Results) -> str:
    """The results of tests.bench.watches."""
    head = ["namespaces", "watches", "peak memory, MB", "all acted in after, s", "CPU until then, s", "CPU at rest, % of a core",
            "latency p50, ms", "max, ms"]  # fmt: skip
    lines = [head, ["---:"] * len(head)]
    for run in results["runs"]:
        if run["faults"]:
            lines.append([str(run["namespaces"]), f"{run['watches']:,}", run["faults"][0].splitlines()[0], *[""] * 5])
            continue
        figures = ("peak_memory_mb", "start_s", "start_cpu_s", "rest_cpu_percent")
        latency = (f"{run['latency_ms'][rank]:.0f}" for rank in ("p50", "max"))
        lines.append([str(run["namespaces"]), f"{run['watches']:,}", *(f"{run[figure]:,}" for figure in figures), *latency])
    return "\n\n".join((_taken(results), _markdown(lines)))


def growth(results: Results) -> str:
    """The results of tests.bench.growth."""
    lines = [["CPU per change, µs", "size", "median", "lowest to highest", "to the smallest"], ["---", *["---:"] * 4]]
    for series in results["series"]:
        first = series["cpu_us_per_change"][0]["median"]
        for size, cost in zip(series["sizes"], series["cpu_us_per_change"], strict=True):
            label = series["label"] if size == series["sizes"][0] else ""
            between = f"{cost['min']:,.0f} to {cost['max']:,.0f}"
            lines.append([label, f"{size:,}", f"{cost['median']:,.0f}", between, f"{cost['median'] / first:.2f}"])
    return "\n\n".join((f"{_taken(results)} Rounds of each size: {results['rounds']}.", _markdown(lines)))


def micro(results: Results) -> str:
    """The results of tests.bench.micro: a column for each implementation of CEL, or one figure where a step has none."""
    figures: dict[str, dict[str, str]] = {}
    for each in results["steps"]:
        step, _, column = each["name"].partition(" | ")
        figures.setdefault(step, {})[column] = _cell(spread(each["values"]), 2)
    columns = list(dict.fromkeys(column for by in figures.values() for column in by if column))
    lines = [["wall time, µs", *columns], ["---", *["---:"] * len(columns)]]
    for step, by in figures.items():
        lines.append([step, *(by.get(column, by.get("", "") if column == columns[0] else "") for column in columns)])
    return "\n\n".join(
        (_taken(results), _markdown(lines), "Median of all values, and in brackets the lowest and the highest of them.")
    )


def profile(results: Results) -> str:
    """The results of tests.bench.profile."""
    conditions = (
        f"{_taken(results)} {results['jobs']} jobs, {results['changes']} changes as fast as the server takes them; "
        f"{results['samples']} samples of py-spy in which the engine was at work, {results['rate']} a second."
    )
    packages = [["where the samples are", "percent"], ["---", "---:"], *_percent(results["packages"][:12])]
    total = [["functions of the engine, with all that they call", "percent"], ["---", "---:"]]
    own = [["functions by themselves", "percent"], ["---", "---:"], *_percent(results["own"][:15])]
    whole = [row for row in results["total"] if not row[0].startswith("engine.cli")]
    return "\n\n".join((conditions, _markdown(packages), _markdown([*total, *_percent(whole[:15])]), _markdown(own)))


def _percent(rows: Sequence[tuple[str, float]]) -> list[list[str]]:
    return [[f"`{where}`", f"{percent:.1f}"] for where, percent in rows]


def _taken(results: Results) -> str:
    where = results["machine"]
    return (
        f"Taken {results['taken']} at commit {results['versions']['commit']} with `{results['command']}` on {where['cores']} "
        f"cores of {where['cpu']}, {where['memory_gb']} GB, {where['kernel']}; load average before it {where['load_before']}."
    )


def _contestants(results: Results, phase: str, columns: Columns) -> str:
    rows = [((each["label"],), each["summary"][phase], each["runs"]) for each in results["contestants"]]
    return _spreads(("",), rows, columns)


def _spreads(head: Sequence[str], rows: Sequence[Row], columns: Columns) -> str:
    lines = [[*head, *(heading for heading, _, _ in columns)], ["---", *["---:"] * (len(head) - 1 + len(columns))]]
    notes = []
    for labels, summary, runs in rows:
        lines.append([*labels, *(_cell(summary.get(figure), decimals) for _, figure, decimals in columns)])
        if invalid := [run for run in runs if run["faults"]]:
            why = invalid[0]["faults"][0].splitlines()[0]
            notes.append(f"{labels[0]}: {len(invalid)} of {len(runs)} runs invalid, the first because {why}.")
    return "\n\n".join((_markdown(lines), SPREAD, *notes))


def _cell(figure: Spread | None, decimals: int) -> str:
    if figure is None:
        return "invalid"
    median, low, high = (f"{figure[name]:,.{decimals}f}" for name in ("median", "min", "max"))
    return median if low == high else f"{median} ({low}–{high})"  # noqa: RUF001 - a range


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _commands(contestants: Sequence[Results]) -> str:
    width = max(len(contestant["label"]) for contestant in contestants)
    commands = "\n".join(f"{contestant['label']:{width}}  {contestant['command']}" for contestant in contestants)
    return f"```\n{commands}\n```"
