"""A small world for tests: an embedded cluster, rule packs, and a reconciler that is driven by hand.

The caches read the cluster itself, so that what the reconciler sees is what is there; each test decides when it looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

from engine.cel import Cel, backend
from engine.cluster.api import PatchType, Selection
from engine.cluster.embedded import EmbeddedCluster
from engine.cluster.faults import Crash, Faults
from engine.cluster.manual_clock import ManualClock
from engine.errors import ApiError
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, ObjectKey, Ref, Resource, annotations_of, kind_of, metadata
from engine.model.observe import Act, Result
from engine.reconcile import Cached, Reconciler
from engine.rulepack.catalog import Catalog
from engine.rulepack.pack import RulePack
from engine.rulepack.parse import parse_pack

RULES = Path(__file__).parent.parent / "rules"
JOB = Kind("mlops.mlops.dev/v1alpha1", "NotebookValidationJob")
SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService")
APPLICATION = Kind("argoproj.io/v1alpha1", "Application")
POD = Kind("v1", "Pod")
EVENT = Kind("v1", "Event")
DEPLOYMENT = Kind("apps/v1", "Deployment")
CUSTOM = (
    (Resource(JOB, "notebookvalidationjobs", True), True),
    (Resource(SERVICE, "inferenceservices", True), True),
    (Resource(APPLICATION, "applications", True), False),
)
START = 1_769_292_000.0
"""2026-01-24T22:00:00Z: what a test creates at first is older than DONE, the completion that most tests use."""
DONE = "2026-01-24T22:30:00Z"


def shipped(name: str, cel: Cel | None = None) -> RulePack:
    """A pack of rules/."""
    path = RULES / name / "pack.yaml"
    (pack,) = parse_pack(path.read_text(), str(path), cel or backend())
    return pack


class Watching:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.verdicts: list[tuple[str, Result, str]] = []
        self.measurements: list[tuple[str, Mapping[str, str], float]] = []

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Result, reason: str) -> None:
        """Keep a verdict."""
        self.verdicts.append((f"{pack}/{rule}", result, reason))

    def acted(self, act: Act) -> None:
        """Keep an act."""
        self.acts.append(act)

    def measured(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Keep a measurement."""
        self.measurements.append((metric, labels, value))


class DirectCaches:
    """Caches that look at the cluster at each question; objects there when it was made count as initial until they change."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str, str], Object] = {}
        self.initial: dict[tuple[Kind, str, str], str] = {}
        self.deleted: dict[tuple[str, str, str], Object] = {}

    def get(self, pack: RulePack, namespace: str, name: str) -> Cached | None:
        """See `engine.reconcile.Caches`."""
        found = self.objects.get((pack.watch.kind, namespace, name))
        if found is None:
            return None
        unchanged = self.initial.get((pack.watch.kind, namespace, name)) == metadata(found)["resourceVersion"]
        return Cached(found, unchanged)

    def take_deleted(self, pack: RulePack, namespace: str, name: str) -> Object | None:
        """See `engine.reconcile.Caches`."""
        return self.deleted.pop((pack.name, namespace, name), None)


class World:
    """An embedded cluster with packs on it. `settle` looks at everything until nothing is left to do now."""

    def __init__(
        self,
        *packs: RulePack,
        modes: Mapping[str, Mode] | None = None,
        params: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.clock = ManualClock(START)
        self.cluster = EmbeddedCluster(self.clock)
        for resource, status in CUSTOM:
            self.cluster.register(resource, status_subresource=status)
        # The engine's own door to the same cluster, so that faults and the log of calls are the engine's alone.
        self.engine = copy(self.cluster)
        self.engine.faults = Faults(self.clock.time)
        self.leading = True
        self.crashes = 0
        self.stagehands: list[Callable[[World], Any]] = []
        self.use(*packs, modes=modes, params=params)
        self.restart()

    def use(
        self,
        *packs: RulePack,
        modes: Mapping[str, Mode] | None = None,
        params: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Put packs, modes and params in force."""
        defaults = {pack.name: {name: param.default for name, param in pack.params.items()} for pack in packs}
        chosen = {name: {**values, **(params or {}).get(name, {})} for name, values in defaults.items()}
        flags = {pack.feature_flag: (modes or {}).get(pack.name, pack.default_mode) for pack in packs}
        self.catalog = Catalog({pack.name: pack for pack in packs}, flags, chosen)
        if hasattr(self, "reconciler"):
            self.reconciler.catalog = self.catalog

    def restart(self) -> None:
        """A new engine that remembers nothing."""
        self.seen = Watching()
        self.caches = DirectCaches()
        self._fresh = True
        self._due: dict[ObjectKey, float] = {}
        self._looked: dict[ObjectKey, str] = {}
        self.reconciler = Reconciler(self.engine, self.clock, self.caches, self.seen, lambda: self.leading)
        self.reconciler.catalog = self.catalog

    async def settle(self, seconds: float = 0.0, step: float = 1.0) -> None:
        """Look at what has changed or is due, until nothing is; then move the clock, step by step."""
        end = self.clock.time() + seconds
        while True:
            while await self._round():
                pass
            if self.clock.time() >= end:
                return
            await self.clock.advance(min(step, end - self.clock.time()))

    async def _round(self) -> bool:
        for play in self.stagehands:
            await play(self)
        keys = await self._refresh()
        try:
            for key in keys:
                again = await self.reconciler.reconcile(key)
                self._due.pop(key, None)
                if again is not None:
                    self._due[key] = self.clock.time() + again
        except Crash:
            self.crashes += 1
            self.restart()
            return True
        return bool(keys)

    async def _refresh(self) -> list[ObjectKey]:
        keys = []
        present = set()
        for kind in {pack.watch.kind for pack in self.catalog.packs.values()}:
            for obj in await self.all(kind):
                meta = metadata(obj)
                key = ObjectKey(kind, str(meta.get("namespace", "")), str(meta["name"]))
                present.add(key)
                self.caches.objects[kind, key.namespace, key.name] = obj
                if self._fresh:
                    self.caches.initial[kind, key.namespace, key.name] = meta["resourceVersion"]
                changed = self._looked.get(key) != meta["resourceVersion"]
                self._looked[key] = meta["resourceVersion"]
                if changed or self._due.get(key, float("inf")) <= self.clock.time():
                    keys.append(key)
        for key in self._looked.keys() - present:
            del self._looked[key]
            last = self.caches.objects.pop((key.kind, key.namespace, key.name))
            for pack in self.catalog.for_kind(key.kind):
                if any(rule.on == "Delete" for rule in pack.rules):
                    self.caches.deleted[pack.name, key.namespace, key.name] = last
            keys.append(key)
        self._fresh = False
        return keys

    def look_again(self) -> None:
        """Forget which versions were looked at, as after a relist or a new catalog."""
        self._looked.clear()

    async def create(self, *objects: Object) -> None:
        """Create objects, their status included."""
        for obj in objects:
            resource = await self.cluster.discover(kind_of(obj))
            namespace = str(metadata(obj).get("namespace", ""))
            await self._namespace(namespace)
            await self.cluster.create(resource, namespace, obj)
            if "status" in obj:
                await self.status(kind_of(obj), str(metadata(obj)["name"]), obj["status"], namespace)

    async def status(self, kind: Kind, name: str, status: Any, namespace: str = "ns") -> None:
        """Merge into an object's status."""
        resource = await self.cluster.discover(kind)
        subresource = "" if kind == APPLICATION else "status"
        await self.cluster.patch(resource, namespace, name, {"status": status}, subresource=subresource)

    async def patch(self, kind: Kind, name: str, body: Mapping[str, Any], namespace: str = "ns") -> None:
        """Merge into an object."""
        await self.cluster.patch(await self.cluster.discover(kind), namespace, name, body, type=PatchType.MERGE)

    async def delete(self, kind: Kind, name: str, namespace: str = "ns") -> None:
        """Delete an object."""
        await self.cluster.delete(await self.cluster.discover(kind), namespace, name)

    async def get(self, kind: Kind, name: str, namespace: str = "ns") -> Object:
        """An object."""
        return await self.cluster.get(await self.cluster.discover(kind), namespace, name)

    async def all(self, kind: Kind, namespace: str = "") -> Sequence[Object]:
        """All objects of a kind."""
        resource = await self.cluster.discover(kind)
        return (await self.cluster.list(Selection(resource, namespace))).items

    async def events(self) -> list[tuple[str, str, str]]:
        """All Events as (name of what they regard, reason, message)."""
        found = await self.all(EVENT)
        return sorted((event["involvedObject"]["name"], event["reason"], event["message"]) for event in found)

    async def annotations(self, kind: Kind, name: str, namespace: str = "ns") -> dict[str, str]:
        """An object's annotations without firing records."""
        found = annotations_of(await self.get(kind, name, namespace))
        return {key: value for key, value in found.items() if not key.startswith("fired.rules.mlops.dev/")}

    @property
    def writes(self) -> list[str]:
        """What the engine has written, as `verb Kind ns/name`."""
        return [f"{call.verb} {call.ref}" for call in self.engine.writes]

    async def _namespace(self, name: str) -> None:
        resource = await self.cluster.discover(Kind("v1", "Namespace"))
        try:
            if name:
                await self.cluster.create(resource, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def job(
    name: str = "train",
    phase: str | None = None,
    annotations: Mapping[str, str] | None = None,
    namespace: str = "ns",
    completed: str | None = DONE,
    **status: Any,
) -> Object:
    """A job; with a phase it has a status, and a completion time where the phase is a final one."""
    body: dict[str, Any] = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {"notebook": {"git": {"url": "https://example.com/models", "ref": "main"}, "path": "train.ipynb"}},
    }
    if phase is not None:
        ended = {"completionTime": completed} if phase in ("Succeeded", "Failed") and completed else {}
        body["status"] = {"phase": phase, **ended, **status}
    return body


def pod(name: str, service: str = "model", *, ready: bool = True, namespace: str = "ns", **labels: str) -> Object:
    """A predictor pod of an InferenceService."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"serving.kserve.io/inferenceservice": service, "component": "predictor", **labels},
        },
        "spec": {"containers": [{"name": "main", "image": "example.com/model"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def named(kind: Kind, name: str, namespace: str = "ns", **fields: Any) -> Object:
    """Any object."""
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def trigger(kind: Kind, name: str, action: str, namespace: str | None = None) -> str:
    """One entry of the annotation mlops.dev/on-success-trigger."""
    lines = [f"- apiVersion: {kind.api_version}", f"  kind: {kind.kind}", f"  name: {name}", f"  action: {action}"]
    return "\n".join([*lines, *([f"  namespace: {namespace}"] if namespace else [])]) + "\n"


def triggers(*entries: str) -> dict[str, str]:
    """The annotation with these entries."""
    return {"mlops.dev/on-success-trigger": "".join(entries)}


def run(scenario: Callable[[], Any]) -> Any:
    """Run a scenario on an event loop of its own."""
    return asyncio.run(scenario())


def names(objects: Iterable[Object]) -> list[str]:
    """The names of objects, sorted."""
    return sorted(str(metadata(obj)["name"]) for obj in objects)
