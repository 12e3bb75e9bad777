"""Micro benchmarks of the steps that a change goes through: wall time of each, by pyperf, in processes of their own.

Options are pyperf's, and `--results`; `python -m tests.bench.report` makes the table. What pyperf itself would write names the
machine and its folders, so the results are written here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyperf

from engine.actions import Cause
from engine.cel import Backend, Scope, backend
from engine.model.flags import Mode
from engine.model.objects import Object, ObjectKey, ref_of
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.reconcile.evaluate import variables_of
from engine.reconcile.prefilter import Values, Watchers
from engine.reconcile.reads import pruner_of
from engine.reconcile.totals import Row, Totals
from tests.bench.inprocess import jobs
from tests.bench.machine import about
from tests.world import DONE, JOB, RULES, all_packs, shipped

RESULTS = Path(__file__).parent / "results/micro.json"
VARIABLES = ("object", "vars", "params", "inputs", "inputErrors", "now")
EXPRESSIONS = {
    "a comparison": "object.status.phase == 'Succeeded'",
    "get and an annotation": "annotation(object, 'a/b') == '' && get(object, 'status.phase', '') == 'Succeeded'",
    "a comprehension over 30": "object.status.results.exists(r, r.status == 'Failure')",
    "jmespath over 30": "jmespath(object, 'status.results[?status==`Failure`] | [0]') == null",
    "16 operations on two values": " + ".join(["object.status.phase", "object.kind"] * 8 + ["'.'"]),
    "two tests of 30 texts": "params.names.all(n, n.startsWith('n') && n != 'name')",
}

#: Those that use no function of the engine.
OTHERS_KNOW = ("a comparison", "a comprehension over 30", "16 operations on two values", "two tests of 30 texts")


def others(expression: str, values: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """What evaluates an expression with cel-cpp and with celpy, handing over its variables each time, as each change would."""
    import celpy
    from cel_expr_python import cel
    from celpy.adapter import json_to_cel

    compiled = cel.NewEnv(variables=dict.fromkeys(values, cel.Type.DYN)).compile(expression)
    environment = celpy.Environment()
    program = environment.program(environment.compile(expression))
    return {
        "cel-cpp": lambda: compiled.eval(data=values).plain_value(),
        "celpy": lambda: program.evaluate({name: json_to_cel(value) for name, value in values.items()}),
    }


def ended_job() -> Object:
    """A job with 30 results that has succeeded."""
    (job,) = jobs(1)
    return {**job, "status": {**job["status"], "phase": "Succeeded", "completionTime": DONE}}


def steps(job: Object) -> dict[str, tuple[Any, ...]]:
    """Each step by its name: a function and its arguments."""
    waves = shipped("sync-waves")
    raw = orjson.dumps(job)
    watching = [pack for pack in all_packs() if JOB in pack.watches and pack.default_mode is not Mode.OFF]
    watchers = Watchers(JOB, watching, Catalog.of({pack.name: pack for pack in watching}, {}).params)
    scope = Scope(variables_of(_catalog(waves), waves, job, None, 0.0), waves.vars)
    action = waves.rules[0].actions[0].action
    cause = Cause(waves.name, waves.rules[0].name, job, ref_of(job), "")
    return {
        "decode a job": (orjson.loads, raw),
        "drop what nobody reads": (pruner_of(JOB, watching).entry, job),
        "match: nothing has changed": (_affected, watchers, watchers.values(job), job),
        "match: which rules may hold": (watchers.candidates, job, watchers.everyone),
        "template: four annotations": (action.values.render, scope),  # type: ignore[attr-defined]
        "plan: four annotations": (action.plan, cause, scope, {}, {}),
    }


def _catalog(pack: RulePack) -> Catalog:
    return Catalog({pack.name: pack}, {pack.name: pack.default_mode}, {pack.name: {}})


def _affected(watchers: Watchers, before: Values, job: Object) -> Collection[int]:
    return watchers.affected(before, watchers.values(job))


def _parse(cel: Backend, text: str) -> list[RulePack]:
    return parse_pack(text, "pack.yaml", cel)


def _aggregate(size: int) -> tuple[Any, ...]:
    """One more change in a group of so many: a row goes, another comes, and the group is read."""
    aggregate = next(rule.aggregate for rule in shipped("application-status").rules if rule.aggregate)
    groups = Totals(aggregate)
    rows = [
        Row("g", (True, phase, not phase), (None if phase else "j",), (), (), ((True, DONE), None)) for phase in (True, False)
    ]
    for number in range(size):
        groups.put(ObjectKey(JOB, "ns", f"job-{number}"), rows[number % 2])
        groups.admit("g", ObjectKey(JOB, "ns", f"job-{number}"), consents=True)

    def change() -> None:
        for row in rows:
            groups.put(ObjectKey(JOB, "ns", "job-7"), row)
            groups.view("g")

    return (change,)


def main() -> None:
    """Measure with pyperf, and write the results as JSON."""
    runner = pyperf.Runner(program_args=("-m", "tests.bench.micro"), processes=3, values=3)
    runner.argparser.add_argument("--results", type=Path, default=RESULTS, help="default: tests/bench/results/micro.json")
    options = runner.parse_args()
    benchmarks = []  # those of a worker process are None: it measures one for the process that started it
    job = ended_job()
    text = (RULES / "sync-waves/pack.yaml").read_text()
    for name, (function, *arguments) in steps(job).items():
        benchmarks.append(runner.bench_func(name, function, *arguments))
    for size in (10, 50_000):
        benchmarks.append(runner.bench_func(f"aggregate: two changes in a group of {size:,}", *_aggregate(size)))
    cel = backend()
    benchmarks.append(runner.bench_func("parse a pack of four rules | rulepack", _parse, cel, text))
    for name, expression in EXPRESSIONS.items():
        program = cel.compile(expression, VARIABLES)
        scope = Scope({"object": job, "params": {"names": [f"name-{number}" for number in range(30)]}})
        benchmarks.append(runner.bench_func(f"evaluate {name} | rulepack", program.evaluate, scope))
    for name in OTHERS_KNOW:
        for column, evaluate in others(EXPRESSIONS[name], scope.values).items():
            benchmarks.append(runner.bench_func(f"evaluate {name} | {column}", evaluate))
    if not options.worker:
        found = [{"name": each.get_name(), "values": [value * 1e6 for value in each.get_values()]} for each in benchmarks]
        results = about("tests.bench.micro") | {"steps": found}
        options.results.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
