"""A guard against becoming slower that no machine can upset: counts of what a change costs, not its time.

The limits are what was measured. Where a change of the engine or of a pack goes beyond one for a good reason, the limit goes up
with it, and the commit says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from engine.cel import Backend, backend
from engine.kube.clock import SystemClock, cancel
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, ObjectKey, Resource
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey
from engine.operator.settings import Settings
from engine.operator.wiring import Operator
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.reconcile import Reconciler, Replica
from engine.reconcile.prune import pruner
from engine.reconcile.reads import pruner_of
from tests.bench import workload
from tests.cluster.fakes import CONFIG_MAPS, config_map, connected, serving, watch_line, write_kubeconfig
from tests.guard.counting import CountingApi, CountingCel, counted
from tests.world import APPLICATION, CUSTOM, DONE, JOB, RULES, World, all_packs, named, trigger, triggers

LATER = "2026-01-24T22:40:00Z"
KEY = ObjectKey(JOB, "bench", "job-00000")


class Counted:
    """A world with all shipped packs and one job with 30 results; what the engine does in it is engine."""

    def __init__(self, cel: Backend, more: Callable[[Backend], Sequence[RulePack]] = lambda _: ()) -> None:
        self.cel = CountingCel(cel)
        self.world = World(*all_packs(self.cel), *more(self.cel))
        self.api = CountingApi(self.world.engine)
        world = self.world
        world.reconciler = Reconciler(self.api, world.clock, world.caches, world.seen, Replica(lambda: True), world._enqueue)
        world.reconciler.catalog = world.catalog

    async def begin(self) -> None:
        """Create the job, evaluated while it runs."""
        await self.world.create(workload.job(0) | {"status": workload.status()})
        await self.world.settle()
        self.cel.evaluations = self.api.writes = self.api.bytes = 0
        self._before = len(self.world.engine.calls)

    def requests(self) -> list[str]:
        """What the engine has asked of the cluster since, reads too; a kind's name is asked for once and then known."""
        calls = self.world.engine.calls[self._before :]
        return [f"{call.verb} {call.ref.kind.kind}" for call in calls if call.verb != "discover"]

    async def change(self, phase: str, when: str = DONE) -> None:
        """Let the job end, and let the engine reconcile it once."""
        await self.world.status(JOB, KEY.name, {"phase": phase, "completionTime": when}, KEY.namespace)
        await self.reconcile()

    async def reconcile(self) -> None:
        """Give the engine the job as it is in the cluster, and let it reconcile that."""
        self.world.caches.put(KEY, await self.world.get(JOB, KEY.name, KEY.namespace))
        await self.world.reconciler.reconcile(KEY)


@pytest.fixture
def cel() -> Backend:
    """What compiles expressions."""
    return backend()


async def test_a_success(cel: Backend) -> None:
    """A job that succeeds costs one request, a patch of 575 bytes, and at most 30 evaluations."""
    engine = Counted(cel)
    await engine.begin()

    await engine.change("Succeeded")

    assert engine.requests() == ["patch NotebookValidationJob"]
    assert engine.api.writes == 1
    assert engine.api.bytes <= 575
    assert engine.cel.evaluations <= 30


async def test_a_failure(cel: Backend) -> None:
    """A job that fails costs a list of Events, an Event and a patch of itself, 1,830 bytes in all, and at most 81 evaluations."""
    engine = Counted(cel)
    await engine.begin()

    await engine.change("Failed")

    assert engine.requests() == ["list Event", "create Event", "patch NotebookValidationJob"]
    assert engine.api.writes == 2
    assert engine.api.bytes <= 1_830
    assert engine.cel.evaluations <= 81


async def test_own_writes_are_not_evaluated(cel: Backend) -> None:
    """What the engine itself has written costs no evaluation and no request when the watch shows it.

    That holds of a pack too that watches all annotations, since the key of the one that it asks for is a param.
    """
    engine = Counted(cel)
    await engine.begin()
    await engine.change("Succeeded")
    engine.cel.evaluations = engine.api.writes = 0
    requests = len(engine.world.engine.calls)

    await engine.reconcile()

    assert engine.cel.evaluations == 0
    assert engine.api.writes == 0
    assert len(engine.world.engine.calls) == requests


async def test_what_no_pack_watches_is_not_evaluated(cel: Backend) -> None:
    """A change of fields that no pack names costs no evaluation and no request."""
    engine = Counted(cel)
    await engine.begin()
    await engine.change("Succeeded")
    await engine.reconcile()
    engine.cel.evaluations = 0
    requests = len(engine.world.engine.calls)

    await engine.world.status(JOB, KEY.name, {"message": "done"}, KEY.namespace)
    await engine.reconcile()

    assert engine.cel.evaluations == 0
    assert len(engine.world.engine.calls) == requests


async def test_rules_of_other_kinds_cost_nothing(cel: Backend) -> None:
    """With 1,000 rules about other kinds a change costs as many evaluations as without."""
    alone, among = Counted(cel), Counted(cel, lambda cel: _others(1000, cel))
    for engine in (alone, among):
        await engine.begin()
        await engine.change("Succeeded")

    assert among.cel.evaluations == alone.cel.evaluations


@pytest.mark.parametrize(("when", "each"), [("{0} == '{1}'", 0), ("{0}.startsWith('{1}')", 1)])
async def test_what_a_false_rule_costs(cel: Backend, when: str, each: int) -> None:
    """100 rules that ask for other texts in the field that has changed cost no evaluation; other false ones cost one each."""
    alone, among = Counted(cel), Counted(cel, lambda cel: _others(100, cel, JOB, "object.status.phase", when))
    for engine in (alone, among):
        await engine.begin()
        await engine.change("Succeeded")

    assert among.cel.evaluations == alone.cel.evaluations + 100 * each
    assert among.requests() == alone.requests()


async def test_other_objects_cost_nothing() -> None:
    """A change takes as many evaluations, requests, conversions and decoded documents among 500 jobs as among 5."""
    costs = []
    for size in (5, 500):
        engine = Counted(backend())
        for number in range(1, size):
            await engine.world.create(workload.job(number) | {"status": {"phase": "Running"}})
        await engine.begin()
        with counted() as work:
            await engine.change("Succeeded")
        costs.append((engine.cel.evaluations, engine.requests(), work))

    assert costs[0] == costs[1]


def test_what_is_kept_of_a_job(cel: Backend) -> None:
    """Of a job of 6,200 bytes with 30 results, all alike to the packs, 950 bytes are cached, and one result stands for all."""
    watching = [pack for pack in all_packs(cel) if JOB in pack.watches and pack.default_mode is not Mode.OFF]
    kept = pruner_of(JOB, watching).entry(workload.job(0) | {"status": workload.status()}).object

    assert len(orjson.dumps(kept)) <= 950
    assert len({id(result) for result in kept["status"]["results"]}) <= 1


async def test_conversions_of_a_change() -> None:
    """A success converts 8 values and decodes 2 firing records; reconciling the engine's own write does neither."""
    engine = Counted(backend())
    await engine.begin()
    await engine.change("Succeeded")
    await engine.reconcile()
    await engine.world.status(JOB, KEY.name, {"completionTime": LATER}, KEY.namespace)

    with counted() as change:
        await engine.reconcile()
    with counted() as own:
        await engine.reconcile()

    assert change.conversions <= 8
    assert change.decodes <= 2
    assert own.conversions == own.decodes == 0


async def test_every_json_document_is_decoded_once(tmp_path: Path) -> None:
    """A page of a list, and each event of a watch, is decoded once on its way into the cache, and a write's answer once."""
    events, sent = 50, asyncio.Event()
    lines = [watch_line("MODIFIED", config_map("one", data={"number": str(number)})) for number in range(events)]

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/api/v1":
            return web.json_response({"resources": [{"kind": "ConfigMap", "name": "configmaps", "namespaced": True}]})
        if request.method == "PATCH":
            return web.json_response(config_map("one"))
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [config_map("one", data={})]})
        answer = web.StreamResponse()
        await answer.prepare(request)
        for number, line in enumerate(lines, start=2):
            await answer.write(line.replace(b'"name":"one"', b'"name":"one","resourceVersion":"%d"' % number))
        await asyncio.Event().wait()
        return answer

    def changed(_: str, __: str, ___: Object | None, new: Object | None, ____: bool) -> None:
        if new and new["data"].get("number") == str(events - 1):
            sent.set()

    async with serving(serve) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        await api.discover(CONFIG_MAPS.kind)
        informer = Informer(api, InformerKey(CONFIG_MAPS.kind), SystemClock(), pruner(None), changed)
        with counted() as watching:
            following = asyncio.create_task(informer.run())
            await sent.wait()
            await cancel(following)
        with counted() as writing:
            await api.patch(CONFIG_MAPS, "default", "one", {"data": {"x": "y"}})

    assert watching.decodes == 1 + events
    assert writing.decodes == 1


async def test_a_group_costs_the_same_however_large() -> None:
    """Counting one more change in a group takes as many evaluations and conversions with 1,000 members as with 10."""
    costs = []
    for size in (10, 1_000):
        engine = Counted(backend())
        world = engine.world
        labels = {"app.kubernetes.io/part-of": "app"}
        here = {"destination": {"namespace": "bench", "server": "https://kubernetes.default.svc"}}
        await world.create(named(APPLICATION, "app", "argocd", spec=here))
        for number in range(size):
            job = workload.job(number)
            job["metadata"]["labels"] = labels
            await world.create(job | {"status": {"phase": "Running"}})
        await world.settle()
        await world.settle(120)
        before = engine.cel.evaluations
        with counted() as work:
            await engine.change("Succeeded")
        costs.append((engine.cel.evaluations - before, work))

    assert costs[0] == costs[1]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_job_costs_the_same_however_large_its_application(phase: str) -> None:
    """With 100,000 resources as with 10: as many evaluations, conversions, requests and written bytes.

    The Application consents by its list of resources alone, and is refreshed, counted for and has an Event about a failure.
    """
    costs = []
    mine = {"group": "mlops.mlops.dev", "kind": JOB.kind, "namespace": KEY.namespace, "name": KEY.name}
    for size in (10, 100_000):
        engine = Counted(backend())
        world = engine.world
        others = [{"version": "v1", "kind": "ConfigMap", "namespace": "bench", "name": f"c-{n}"} for n in range(size)]
        elsewhere = {"destination": {"namespace": "other", "server": "https://kubernetes.default.svc"}}
        await world.create(named(APPLICATION, "app", "argocd", spec=elsewhere, status={"resources": [*others, mine]}))
        await engine.begin()
        tracked = {"argocd.argoproj.io/tracking-id": f"app:mlops.mlops.dev/{JOB.kind}:{KEY.namespace}/{KEY.name}"}
        asked = triggers(trigger(APPLICATION, "app", "refresh"))
        await world.patch(JOB, KEY.name, {"metadata": {"annotations": {**tracked, **asked}}}, KEY.namespace)
        await world.settle(120)
        engine.cel.evaluations = engine.api.writes = engine.api.bytes = 0
        before = len(engine.requests())
        with counted() as work:
            await engine.change(phase)
            await world.settle(120)
        costs.append((engine.cel.evaluations, engine.api.writes, engine.api.bytes, engine.requests()[before:], work))

    assert "patch Application" in costs[0][3]
    assert costs[0] == costs[1]


async def test_triggers_cost_in_proportion() -> None:
    """Twice as many entries in one annotation cost at most twice as many evaluations."""
    evaluations = {}
    for number in (20, 40):
        engine = Counted(backend())
        await engine.begin()
        entries = "".join(f"- {{apiVersion: v1, kind: ConfigMap, name: c-{entry}, action: refresh}}\n" for entry in range(number))
        await engine.world.patch(
            JOB, KEY.name, {"metadata": {"annotations": {"mlops.dev/on-success-trigger": entries}}}, KEY.namespace
        )
        await engine.change("Succeeded")
        evaluations[number] = engine.cel.evaluations

    assert evaluations[40] <= 2 * evaluations[20]


async def test_requests_of_a_start(tmp_path: Path) -> None:
    """Seven packs on one kind share one list and one watch of it; 1,200 jobs come in pages of 500, and nothing is written."""
    clock = FakeClock()
    cluster = EmbeddedCluster(clock)
    for resource, status in CUSTOM:
        cluster.register(resource, status_subresource=status)
    for name in ("bench", "system"):
        await cluster.create(Resource(Kind("v1", "Namespace"), "namespaces", False), "", {"metadata": {"name": name}})
    for number in range(1_200):
        body: Object = workload.job(number) | {"status": workload.status()}
        await cluster.create(CUSTOM[0][0], "bench", body)
    before = len(cluster.calls)
    stop = asyncio.Event()
    settings = Settings("system", rules=(RULES,), address="127.0.0.1", port=0)
    operator = asyncio.create_task(Operator(cluster, settings, clock, backend()).run(stop))
    async with asyncio.timeout(120):
        while not any(call.ref.kind == JOB and call.verb == "watch" for call in cluster.calls):
            await asyncio.sleep(0.01)  # packs as large as these are read in a thread, which the fake clock does not wait for
            await clock.advance(1)
    await clock.advance(10)

    calls = cluster.calls[before:]
    about = [call.verb for call in calls if call.ref.kind == JOB and call.verb != "discover"]
    assert about == ["list", "list", "list", "watch"]
    assert {call.ref.kind.kind for call in calls if call.wrote} == {"Lease"}
    stop.set()
    await clock.advance(30)
    await cancel(operator)


def _others(
    rules: int, cel: Backend, kind: Kind = CONFIG_MAPS.kind, field: str = "object.data.x", when: str = "{0} == '{1}'"
) -> list[RulePack]:
    """Packs about a kind, with 100 rules each, of which none ever fires."""
    head = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: others-{0}}}
spec:
  description: Rules that do not fire.
  watch: {{apiVersion: {1}, kind: {2}, fields: [{3}]}}
  rules:
"""
    rule = '    - {{name: rule-{0}, when: "{1}", actions: [{{annotate: {{annotations: {{a: b}}}}}}]}}\n'
    watched = field.removeprefix("object.")
    texts = [
        head.format(pack, kind.api_version, kind.kind, watched)
        + "".join(rule.format(each, when.format(field, each)) for each in range(100))
        for pack in range(rules // 100)
    ]
    return [pack for text in texts for pack in parse_pack(text, "others.yaml", cel)]
