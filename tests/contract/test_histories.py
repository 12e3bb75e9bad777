"""Any history of writes, on both clusters side by side: the same answers, the same objects, and the same tale of a watch.

Server-side apply is left out: the embedded cluster's is simpler on purpose (see engine/kube/embedded/apply.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ApiError
from engine.kube.api import Api, Selection
from engine.kube.clock import SystemClock
from engine.kube.embedded import EmbeddedCluster
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Object
from tests.contract.conftest import served
from tests.contract.support import CRD, NAMESPACE, PROBE, crd, named
from tests.controlplane.plane import ControlPlane

OWN = ("uid", "resourceVersion", "namespace", "creationTimestamp", "deletionTimestamp", "managedFields")
"""What the two cannot have in common; whether it is there, and whether a version has moved, is compared all the same."""


@dataclass(slots=True)
class Side:
    """One of the two clusters, a namespace of its own there, and what has been seen of each object."""

    api: Api
    namespace: str
    seen: dict[str, list[Object]] = field(default_factory=dict)

    def metadata(self, name: str, seen: int | None) -> dict[str, Any]:
        """uid and resourceVersion of an object as it was so many answers ago; nothing where none is asked for or known."""
        known = self.seen.get(name, [])
        if seen is None or not known:
            return {}
        found = known[max(-len(known), -1 - seen)]["metadata"]
        return {"uid": found["uid"], "resourceVersion": found["resourceVersion"]}

    def reported(self, name: str, obj: Object, *, dry_run: bool = False) -> object:
        """What can be compared of an answer."""
        known = self.seen.setdefault(name, [])
        versions = [each["metadata"]["resourceVersion"] for each in known]
        moved = obj["metadata"]["resourceVersion"] not in versions if "resourceVersion" in obj["metadata"] else None
        if not dry_run:
            known.append(obj)
        return None if dry_run else moved, comparable(obj)


def comparable(obj: Object) -> dict[str, Any]:
    """An object without what each cluster chooses for itself."""
    meta = {key: key in obj["metadata"] if key in OWN else value for key, value in obj["metadata"].items()}
    meta.pop("managedFields", None)
    return {**obj, "metadata": meta}


@dataclass(frozen=True, slots=True)
class Write:
    """One write: `body` without its metadata's conditions, which come from what was seen `seen` answers ago."""

    verb: str
    name: str
    body: Object
    seen: int | None = None
    dry_run: bool = False

    async def on(self, side: Side) -> object:
        """What a cluster answers that can be compared: the object, or status and reason of the refusal."""
        try:
            answer = await self._ask(side)
        except ApiError as error:
            return error.status, error.reason
        return None if answer is None else side.reported(self.name, answer, dry_run=self.dry_run)

    async def _ask(self, side: Side) -> Object | None:
        api, namespace, conditions = side.api, side.namespace, side.metadata(self.name, self.seen)
        body = {**self.body, "metadata": {**self.body.get("metadata", {}), **conditions}}
        match self.verb:
            case "create":
                body = named(PROBE, self.name, self.body.get("metadata"), spec=self.body.get("spec", {}))
                return await api.create(PROBE, namespace, body, dry_run=self.dry_run)
            case "replace":
                body = named(PROBE, self.name, body["metadata"], spec=self.body.get("spec", {}))
                return await api.replace(PROBE, namespace, body, dry_run=self.dry_run)
            case "patch":
                return await api.patch(PROBE, namespace, self.name, body, dry_run=self.dry_run)
            case "status":
                body = {"status": self.body.get("spec", {}), "metadata": conditions}
                return await api.patch(PROBE, namespace, self.name, body, subresource="status", dry_run=self.dry_run)
        await api.delete(PROBE, namespace, self.name, uid=conditions.get("uid", ""), dry_run=self.dry_run)
        return None


LABELS = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), max_size=2)
SPECS = st.dictionaries(st.sampled_from("pq"), st.integers(0, 2) | st.none() | st.just({"deep": 1}) | st.just([1, 2]), max_size=2)
METADATA = st.fixed_dictionaries(
    {}, optional={"labels": LABELS, "annotations": LABELS, "finalizers": st.sampled_from([["example.dev/hold"], None])}
)
WRITES = st.builds(
    Write,
    st.sampled_from(("create", "create", "patch", "patch", "replace", "status", "delete")),
    st.sampled_from("ab"),
    st.fixed_dictionaries({}, optional={"metadata": METADATA, "spec": SPECS}),
    st.none() | st.integers(0, 2),
    st.sampled_from((False, False, False, True)),
)


class Both:
    """The embedded cluster and a real one, in one event loop."""

    def __init__(self, plane: ControlPlane) -> None:
        self._runner = asyncio.Runner()
        self._apis: list[Api] = self._runner.run(self._connect(str(plane.kubeconfig)))

    async def _connect(self, kubeconfig: str) -> list[Api]:
        apis: list[Api] = [EmbeddedCluster(SystemClock()), await KubernetesApi.connect(kubeconfig)]
        for api in apis:
            try:
                await api.create(CRD, "", crd(PROBE))
            except ApiError as error:
                assert error.reason == "AlreadyExists"
            await served(api, PROBE)
        return apis

    def play(self, writes: list[Write]) -> None:
        """Let both have the same history, and compare."""
        self._runner.run(self._play(writes))

    async def _play(self, writes: list[Write]) -> None:
        sides = [await self._side(api) for api in self._apis]
        since = [(await side.api.list(Selection(PROBE, side.namespace))).resource_version for side in sides]
        for write in writes:
            one, other = [await write.on(side) for side in sides]
            assert one == other, write
        left = [(await side.api.list(Selection(PROBE, side.namespace))).items for side in sides]
        assert [comparable(obj) for obj in left[0]] == [comparable(obj) for obj in left[1]]
        for side in sides:  # so that a watch has an end to be read to
            await side.api.create(PROBE, side.namespace, named(PROBE, "end"))
        one, other = [await self._tale(side, version) for side, version in zip(sides, since, strict=True)]
        assert one == other

    async def _side(self, api: Api) -> Side:
        created = await api.create(NAMESPACE, "", {"metadata": {"generateName": "history-"}})
        return Side(api, str(created["metadata"]["name"]))

    @staticmethod
    async def _tale(side: Side, version: str) -> list[tuple[str, dict[str, Any]]]:
        """All that a watch sends of a history."""
        tale: list[tuple[str, dict[str, Any]]] = []
        async with asyncio.timeout(20):
            async for event in side.api.watch(Selection(PROBE, side.namespace), version, timeout=20):
                if event.type != "BOOKMARK":
                    tale.append((event.type, comparable(event.object)))
                if event.object["metadata"].get("name") == "end":
                    break
        return tale

    def close(self) -> None:
        """Give the connections back."""
        for api in self._apis:
            self._runner.run(api.close())
        self._runner.run(asyncio.sleep(0.25))  # for TLS to say goodbye (aiohttp: client advanced, graceful shutdown)
        self._runner.close()


@pytest.fixture
def both(control_plane: ControlPlane) -> Iterator[Both]:
    """Both clusters, for all examples of a test."""
    both = Both(control_plane)
    yield both
    both.close()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(writes=st.lists(WRITES, min_size=1, max_size=15))
def test_the_two_clusters_answer_alike(both: Both, writes: list[Write]) -> None:
    """Creates, patches, replacements, deletions, conditions, finalizers and dry runs in any order."""
    both.play(writes)
