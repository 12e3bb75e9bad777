"""A small world for tests: an embedded cluster, rule packs, and a reconciler that is driven by hand.

The caches read the cluster itself, so that what the reconciler sees is what is there; each test decides when it evaluates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.cel import Backend, backend
from engine.kube.api import PatchType
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, Resource, annotations_of, kind_of, metadata
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.testing import world

RULES = Path(__file__).parent.parent / "rules"
JOB = Kind("mlops.mlops.dev/v1alpha1", "NotebookValidationJob")
SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService")
APPLICATION = Kind("argoproj.io/v1alpha1", "Application")
PROJECT = Kind("argoproj.io/v1alpha1", "AppProject")
NAMESPACE = Kind("v1", "Namespace")
POD = Kind("v1", "Pod")
EVENT = Kind("v1", "Event")
DEPLOYMENT = Kind("apps/v1", "Deployment")
CUSTOM = (
    (Resource(JOB, "notebookvalidationjobs", True), True),
    (Resource(SERVICE, "inferenceservices", True), True),
    (Resource(APPLICATION, "applications", True), False),
    (Resource(PROJECT, "appprojects", True), False),
)
START = 1_769_292_000.0
"""2026-01-24T22:00:00Z: what a test creates at first is older than DONE, the completion that most tests use."""
DONE = "2026-01-24T22:30:00Z"


def shipped(name: str, cel: Backend | None = None) -> RulePack:
    """A pack of rules/."""
    path = RULES / name / "pack.yaml"
    (pack,) = parse_pack(path.read_text(), str(path), cel or backend())
    return pack


def all_packs(cel: Backend | None = None) -> list[RulePack]:
    """The packs of rules/."""
    return [shipped(path.parent.name, cel) for path in sorted(RULES.glob("*/pack.yaml"))]


class World(world.World):
    """An embedded cluster with packs on it, and with whoever else plays a part there (`simulators`)."""

    def __init__(
        self,
        *packs: RulePack,
        modes: Mapping[str, Mode] | None = None,
        params: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(_catalog(packs, modes, params), START)
        for resource, status in CUSTOM:
            self.cluster.register(resource, status_subresource=status)
        self.simulators: list[Callable[[World], Any]] = []

    def use(
        self,
        *packs: RulePack,
        modes: Mapping[str, Mode] | None = None,
        params: Mapping[str, Mapping[str, Any]] | None = None,
        resume: str = "",
    ) -> None:
        """Put packs, modes and params in force, and what people say to have what is suspended go on."""
        self.catalog = replace(_catalog(packs, modes, params), resume=resume)

    def restart(self) -> None:
        """A new engine that remembers nothing, and nothing seen of it yet."""
        self.seen = world.Seen()
        super().restart()

    async def settle(self, seconds: float = 0.0, step: float = 1.0) -> None:
        """Evaluate what has changed or is due, until nothing is; then move the clock, step by step."""
        end = self.clock.monotonic() + seconds
        while True:
            while await self.round():
                pass
            if self.clock.monotonic() >= end:
                return
            await self.clock.advance(min(step, end - self.clock.monotonic()))

    async def round(self) -> bool:
        """One evaluation, after the simulators have done their part."""
        for play in self.simulators:
            await play(self)
        return await super().round()

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

    async def events(self) -> list[tuple[str, str, str]]:
        """All Events as (name of what they regard, reason, message)."""
        found = await self.all(EVENT)
        return sorted((event["involvedObject"]["name"], event["reason"], event["message"]) for event in found)

    async def annotations(self, kind: Kind, name: str, namespace: str = "ns") -> dict[str, str]:
        """An object's annotations without firing records."""
        found = annotations_of(await self.get(kind, name, namespace))
        return {key: value for key, value in found.items() if not key.startswith("fired.rules.mlops.dev/")}


def _catalog(
    packs: Sequence[RulePack], modes: Mapping[str, Mode] | None, params: Mapping[str, Mapping[str, Any]] | None
) -> Catalog:
    flags = {pack.identity: (modes or {}).get(pack.identity, pack.default_mode) for pack in packs}
    return Catalog.of({pack.identity: pack for pack in packs}, flags, params)


def job(
    name: str = "train",
    phase: str | None = None,
    annotations: Mapping[str, str] | None = None,
    namespace: str = "ns",
    completed: str | None = DONE,
    **status: Any,
) -> Object:
    """A job as its owner accepts it; with a phase it has a status, and a completion time where the phase is a final one."""
    body: dict[str, Any] = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {
            "notebook": {"git": {"url": "https://example.com/models", "ref": "main"}, "path": "train.ipynb"},
            "podConfig": {"containerImage": "example.com/notebooks:1"},
        },
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


def pulled(number: int) -> Object:
    """An Event about one of many pods."""
    about = {"kind": "Pod", "namespace": "ns", "name": f"other-{number}", "uid": f"uid-{number}"}
    return named(EVENT, f"other-{number}", reason="Pulled", message="pulled", involvedObject=about)


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
