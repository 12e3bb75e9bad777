"""Print what a reader has to visit in engine/ to follow one change, from the watch event to the firing record.

Two changes are followed on the embedded cluster: an object for which one rule writes one annotation, and a job whose trigger
evicts a pod. For each it prints how many files and functions take part, and how often a call leads from one file to another:
of all of engine/, without engine/operator/, which brings the change to the reconciler, and without engine/cel/ as well, whose
compiled expressions call each other for every node of a condition. Only the tasks that carry a change
are followed, those of informers and workers. The embedded cluster and the clocks are left out, and comprehensions and lambdas
belong to the function around them.

Use: .venv/bin/python scripts/trace_pipeline.py [--files]
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from engine.cel import backend
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, Resource
from engine.operator.settings import Settings
from engine.operator.wiring import Operator

ROOT = Path(__file__).parents[1]
ENGINE = str(ROOT / "engine")
LEFT_OUT = ("/kube/embedded/", "/kube/faults.py", "clock.py", "/testing/", "/cli/")
FOLLOWED = ("Informer.", "Workers.")
"""How the names of the coroutines begin whose tasks carry a change."""
START = 1_769_292_000.0
"""2026-01-24T22:00:00Z, in seconds since the Unix epoch."""
NAMESPACE = Resource(Kind("v1", "Namespace"), "namespaces", False)
POD = Resource(Kind("v1", "Pod"), "pods", True)
WIDGET = Resource(Kind("example.com/v1", "Widget"), "widgets", True)
JOB = Resource(Kind("mlops.mlops.dev/v1alpha1", "NotebookValidationJob"), "notebookvalidationjobs", True)
SERVICE = Resource(Kind("serving.kserve.io/v1beta1", "InferenceService"), "inferenceservices", True)
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: marks}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  rules:
    - name: mark
      when: object.spec.size > 10
      actions:
        - annotate: {annotations: {example.com/mark: big}}
"""


@dataclass(frozen=True, slots=True)
class Trace:
    """The functions of engine/ in the order in which they were called."""

    calls: Sequence[CodeType]

    def without(self, folder: str) -> Trace:
        """The same without the functions of one folder of engine/."""
        return Trace([code for code in self.calls if not code.co_filename.startswith(f"{ENGINE}/{folder}/")])

    @property
    def files(self) -> set[str]:
        """The files that took part, as paths in engine/."""
        return {code.co_filename.removeprefix(f"{ENGINE}/") for code in self.calls}

    @property
    def switches(self) -> int:
        """How often a call was of another file than the one before it."""
        return sum(before.co_filename != after.co_filename for before, after in pairwise(self.calls))


@contextmanager
def recorded() -> Iterator[list[CodeType]]:
    """Record what informers and workers call of engine/ meanwhile."""
    calls: list[CodeType] = []
    entered: set[FrameType] = set()  # those of coroutines: one that goes on after a wait is no call

    def note(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(ENGINE) or code.co_name.startswith("<") or frame in entered:
            return
        task = asyncio.current_task()
        coroutine = getattr(task.get_coro(), "__qualname__", "") if task else ""
        if coroutine.startswith(FOLLOWED) and not any(part in code.co_filename for part in LEFT_OUT):
            calls.append(code)
            if code.co_flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
                entered.add(frame)

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


class Fixture:
    """An operator with some packs on an embedded cluster."""

    def __init__(self, rules: Path) -> None:
        self.clock = FakeClock(START)
        self.cluster = EmbeddedCluster(self.clock)
        for resource in (WIDGET, JOB, SERVICE):
            self.cluster.register(resource, status_subresource=resource is not WIDGET)
        own = Settings(operator_namespace="system", rules=(rules,), address="127.0.0.1", port=0)
        self.operator = Operator(self.cluster, own, self.clock, backend())


async def followed(
    rules: Path, prepare: Callable[[Fixture], Awaitable[None]], change: Callable[[Fixture], Awaitable[None]]
) -> Trace:
    """What is called because of a change, within the two seconds after it."""
    fixture, stop = Fixture(rules), asyncio.Event()
    await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
    await prepare(fixture)
    running = asyncio.create_task(fixture.operator.run(stop))
    await fixture.clock.advance(5)
    await change(fixture)
    with recorded() as calls:
        await fixture.clock.advance(2)
    stop.set()
    await fixture.clock.advance(30)
    await running
    return Trace(calls)


async def nothing(fixture: Fixture) -> None:
    """Prepare nothing."""


async def widget(fixture: Fixture) -> None:
    """Create what the rule is about."""
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 20}}
    await fixture.cluster.create(WIDGET, "default", body)


async def job(fixture: Fixture) -> None:
    """Create a job that is to restart a service, the service, and a pod of it."""
    trigger = f"- {{apiVersion: {SERVICE.kind.api_version}, kind: InferenceService, name: model, action: restart}}"
    await fixture.cluster.create(JOB, "default", {
        "apiVersion": JOB.kind.api_version, "kind": JOB.kind.kind,
        "metadata": {"name": "train", "annotations": {"mlops.dev/on-success-trigger": trigger}}, "spec": {},
    })  # fmt: skip
    await fixture.cluster.patch(JOB, "default", "train", {"status": {"phase": "Running"}}, subresource="status")
    body = {"apiVersion": SERVICE.kind.api_version, "kind": "InferenceService", "metadata": {"name": "model"}}
    await fixture.cluster.create(SERVICE, "default", body)
    await fixture.cluster.create(POD, "default", {
        "apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "model-1", "labels": {"serving.kserve.io/inferenceservice": "model", "component": "predictor"}},
        "spec": {"containers": [{"name": "main", "image": "example.com/model"}]},
    })  # fmt: skip
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await fixture.cluster.patch(POD, "default", "model-1", {"status": ready}, subresource="status")


async def success(fixture: Fixture) -> None:
    """Let the job succeed."""
    ended = {"phase": "Succeeded", "completionTime": "2026-01-24T22:00:05Z"}
    await fixture.cluster.patch(JOB, "default", "train", {"status": ended}, subresource="status")


async def main() -> None:
    """Follow both changes and print what they take."""
    logging.getLogger("engine").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pack.yaml").write_text(PACK)
        annotation = await followed(Path(folder), nothing, widget)
    eviction = await followed(ROOT / "rules/on-success-triggers/pack.yaml", job, success)
    print(f"{'':56}{'files':>8}{'functions':>11}{'switches':>10}")
    for name, trace in (("one rule with one annotation", annotation), ("a trigger to an eviction", eviction)):
        reconciling = trace.without("operator")
        parts = {"": trace, ", without operator/": reconciling, ", without operator/, cel/": reconciling.without("cel")}
        for text, part in ((f"{name}{without}", part) for without, part in parts.items()):
            print(f"{text:56}{len(part.files):8}{len(set(part.calls)):11}{part.switches:10,}")
        if "--files" in sys.argv:
            print("\n".join(sorted(trace.files)))


if __name__ == "__main__":
    asyncio.run(main())
