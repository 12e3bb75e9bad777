"""Growth: what a change costs with more rules, more objects, larger groups and longer annotations; CPU time in one process.

`python -m tests.bench.report` makes the tables and plots of docs/performance.md from the results.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import yaml

from engine.cel import backend
from engine.cli.run import collect_rarely
from engine.model.objects import Kind, ObjectKey
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from tests.bench.figures import spread
from tests.bench.inprocess import Bench, jobs
from tests.bench.machine import about
from tests.world import APPLICATION, JOB, all_packs, named, shipped

RESULTS = Path(__file__).parent / "results/growth.json"
#: Changes in one round.
CHANGES = 100
CONFIG_MAP = Kind("v1", "ConfigMap")
#: Series -> sizes, and what is changed with the size.
SERIES: dict[str, tuple[str, tuple[int, ...]]] = {
    "other-kinds": ("rules, all but one of another kind", (1, 10, 100, 1_000)),
    "other-fields": ("rules, all but one of packs that watch other fields", (1, 10, 100, 1_000)),
    "false-rules": ("rules of one kind and the same field, all but one false", (1, 10, 100, 1_000)),
    "objects": ("jobs in the cluster, all packs on", (100, 1_000, 10_000, 50_000)),
    "aggregate": ("jobs in one group that is counted and published", (10, 1_000, 50_000)),
    "triggers": ("entries in one annotation, each of them acted on", (1, 10, 100, 1_000)),
}

_numbers = itertools.count()


def _status(_: int) -> Mapping[str, Any]:
    """A success with a completion time of its own."""
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_numbers))
    return {"phase": "Succeeded", "completionTime": f"{when:%Y-%m-%dT%H:%M:%SZ}"}


def _pack(name: str, kind: Kind, fields: list[str], rules: list[dict[str, Any]], **more: Any) -> RulePack:
    watch = {"apiVersion": kind.api_version, "kind": kind.kind, "fields": fields}
    spec = {"description": name, "watch": watch, "rules": rules, **more}
    body = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": name}, "spec": spec}
    (pack,) = parse_pack(yaml.safe_dump(body), name, backend())
    return pack


def _marks(name: str, when: str) -> dict[str, Any]:
    time = {"example.com/time": "${object.status.completionTime}"}
    return {"name": name, "when": when, "actions": [{"annotate": {"annotations": time}}]}


def _one() -> RulePack:
    return _pack("one", JOB, ["status"], [_marks("one", "object.status.phase == 'Succeeded'")])


def _others(number: int, kind: Kind, field: str) -> list[RulePack]:
    """So many rules that do not fire, at most 100 in a pack."""
    rules = [_marks(f"rule-{each}", f"object.status.phase == 'phase-{each}'") for each in range(number)]
    return [_pack(f"pack-{start}", kind, [field], rules[start : start + 100]) for start in range(0, number, 100)]


def _triggers() -> RulePack:
    touch = {"patch": {
        "target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "${item}"},
        "doneWhen": "annotation(target, 'example.com/time') == object.status.completionTime",
        "patch": {"metadata": {"annotations": {"example.com/time": "${object.status.completionTime}"}}},
    }}  # fmt: skip
    rule = {
        "name": "touch", "when": "object.status.phase == 'Succeeded'", "oncePer": "object.status.completionTime",
        "loop": "inputs.names", "loopKey": "item", "actions": [touch],
    }  # fmt: skip
    names = {"annotation": "example.com/names", "schema": {"type": "array", "items": {"type": "string"}}, "default": []}
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "patch"]}]
    return _pack("triggers", JOB, ["status", "metadata.annotations"], [rule], inputs={"names": names}, targets=targets)


def build(series: str, size: int) -> tuple[Bench, int]:
    """What a series measures at a size, and how many changes make a round."""
    match series:
        case "other-kinds":
            return Bench([_one(), *_others(size - 1, CONFIG_MAP, "status")], jobs(CHANGES)), CHANGES
        case "other-fields":
            return Bench([_one(), *_others(size - 1, JOB, "spec")], jobs(CHANGES)), CHANGES
        case "false-rules":
            return Bench([_one(), *_others(size - 1, JOB, "status")], jobs(CHANGES)), CHANGES
        case "objects":
            return Bench(all_packs(), jobs(size)), CHANGES
        case "aggregate":
            bench = Bench([shipped("application-status")], jobs(size, 0, **{"app.kubernetes.io/part-of": "app"}))
            here = {"destination": {"namespace": "bench", "server": "https://kubernetes.default.svc"}}
            bench.api.put(ObjectKey(APPLICATION, "argocd", "app"), named(APPLICATION, "app", "argocd", spec=here))
            return bench, min(size, CHANGES)
    bench = Bench([_triggers()], jobs(1, 0))
    names = [f"c-{each}" for each in range(size)]
    for name in names:
        bench.api.put(ObjectKey(CONFIG_MAP, "bench", name), named(CONFIG_MAP, name, "bench"))
    key = bench.keys[0]
    job = bench.api.objects[JOB, key.namespace, key.name]
    annotations = {"example.com/names": orjson.dumps(names).decode()}
    bench.show(key, bench.api.put(key, {**job, "metadata": {**job["metadata"], "annotations": annotations}}))
    return bench, 1


async def measure(series: str, size: int, rounds: int) -> dict[str, float]:
    """CPU microseconds per change: the median of the rounds, and their spread; the first round is not counted."""
    bench, changes = build(series, size)
    await bench.settle()
    gc.collect()
    collect_rarely()
    try:
        took = [await bench.change(_status, changes) for _ in range(rounds + 1)][1:]
    finally:
        gc.unfreeze()
    return spread([round(seconds * 1e6, 1) for seconds in took])


def main() -> None:
    """Measure, and write the results as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=SERIES, help="measure this one; may be repeated (default: all)")
    parser.add_argument("--largest", type=int, default=50_000, help="leave out sizes beyond this (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each size (default %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/growth.json")
    options = parser.parse_args()
    results = about("tests.bench.growth") | {"rounds": options.rounds, "changes": CHANGES, "series": []}
    for name in options.only or SERIES:
        label, sizes = SERIES[name][0], [size for size in SERIES[name][1] if size <= options.largest]
        figures = [asyncio.run(measure(name, size, options.rounds)) for size in sizes]
        results["series"].append({"name": name, "label": label, "sizes": sizes, "cpu_us_per_change": figures})
        print(f"{label}: {dict(zip(sizes, [each['median'] for each in figures], strict=True))}", flush=True)
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
