"""The simulators in a thread of their own, the engine as a process, users who change packs and flags, and a check at the end."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, Self, TypeVar

from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Object, annotations_of
from tests.chaos.layout import Layout, prepare
from tests.chaos.ledger import NOTE, Ledger, Run
from tests.chaos.simulation import Simulation
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster
from tests.e2e.engine import Engine
from tests.world import JOB, named

T = TypeVar("T")

PACKS = ("on-success-triggers", "sync-waves", "failure-notifications", "application-status")
CATCHING_UP = PACKS[1:]
"""Those that do what they missed while they were not Enforce: the first leaves what has ended meanwhile, so that nobody could say
what is owed."""
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: notes}}
spec:
  watch: {{apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}}
  rules:
    - name: note
      when: get(object, 'status.phase', '') == 'Succeeded'
      actions:
        - annotate: {{annotations: {{{key}: '{note}'}}}}
    - name: tell
      when: get(object, 'status.phase', '') == 'Succeeded'
      oncePer: object.metadata.uid
      actions:
        - emitEvent: {{type: Normal, reason: Noted, message: 'noted ${{object.metadata.name}}'}}
"""


class Scenario:
    """One run in namespaces of its own. Calls block; the simulators go on meanwhile."""

    def __init__(self, plane: ControlPlane, namespace: str, seed: int, groups: int) -> None:
        self.plane, self.ledger = plane, Ledger()
        self.layout = Layout(namespace, f"{namespace}-argocd", groups)
        prepare(plane, namespace, self.layout.argocd)
        self.random = Random(seed)
        self.engine = Engine(plane, namespace)
        self.edits = 0
        self._note = ""
        self._cluster = Cluster(plane, self.engine.own)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._running: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._api = self._wait(KubernetesApi.connect(str(self.plane.kubeconfig)))
        self._simulation = Simulation(self._api, self.layout, self.ledger, Random(self.random.random()))
        self._wait(self._simulation.create_targets())
        params = dict.fromkeys(PACKS, "disruptionsPerMinute: 0\n")  # so many jobs at once are meant, and so many syncs
        params["on-success-triggers"] += (
            "restartStrategy: Evict\nsyncsPerHour: 0\nrestartsPerHour: 0\n"  # the pods are simulated, and no KServe is there
        )
        self.engine.params(params)
        self.engine.flags({"rollouts": "Disabled"})  # no controller says how far a rollout is
        self.edit_pack()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.__exit__()
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, jobs: int, per_second: float) -> None:
        """Let the simulators begin; at most so many jobs begin a second."""
        self._running = self._wait(self._start(jobs, per_second))

    def enough(self) -> None:
        """No further job begins."""
        self.ledger.enough = True
        self.wait_for_jobs()

    def wait_for_jobs(self) -> None:
        """Wait until all jobs have ended."""
        while not self.ledger.all_ended:
            self.check_simulation()
            time.sleep(0.1)

    def check_simulation(self) -> None:
        """Raise what a simulator has failed with."""
        if self._running is not None and self._running.done():
            self._running.result()

    def edit(self) -> None:
        """A user changes something: a flag, or the users' own pack."""
        if self.random.random() < 0.5:
            self.edit_pack()
        else:
            modes = {pack: self.random.choice(("Enforce", "Enforce", "Audit", "Off")) for pack in (*CATCHING_UP, "notes")}
            self.engine.flags(modes)
        self.edits += 1

    def edit_pack(self) -> None:
        """A new version of the users' own pack."""
        self._note = f"version {self.edits}"
        data = {"pack.yaml": PACK.format(key=NOTE, note=self._note)}
        body = named(CONFIG_MAP, "notes", self.engine.own, data=data)
        body["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        if self._cluster.find(CONFIG_MAP, "notes", self.engine.own):
            self._cluster.patch(CONFIG_MAP, "notes", {"data": data}, self.engine.own)
        else:
            self._cluster.create(body)

    def without_statuses(self) -> None:
        """The pack that writes at most once a minute is Off."""
        self.ledger.statuses = False
        self.engine.flags({"application-status": "Off"})

    def enforce(self) -> None:
        """All flags are on again."""
        self.engine.flags(dict.fromkeys((*PACKS, "notes"), "Enforce"))

    def annotation(self, job: str, key: str) -> str | None:
        """An annotation that a job has now; None where it has none, or is just being made anew."""
        found = Cluster(self.plane, self.layout.namespace).find(JOB, job)
        return None if found is None else annotations_of(found).get(key)

    def missing(self) -> list[str]:
        """What is not (yet) as it should be in the end."""
        return self.ledger.missing(self._found(), self._note)

    def without_events(self, runs: Sequence[Run]) -> list[str]:
        """The Events that runs must have caused and have not; a run that was deleted meanwhile owes nothing."""
        return self.ledger.without_events([run for run in runs if self.ledger.runs[run.name] is run], self._found())

    def caught_up(self, patience: float) -> float:
        """Seconds until nothing is missing any more. Fails, saying what is, where nothing of it has come for so long."""
        return until_nothing(self.missing, patience, self.describe, self.check_simulation)

    def caught_up_with(self, runs: Sequence[Run], patience: float) -> float:
        """Seconds until all Events that runs must have caused are there; no job begins meanwhile. Fails as `caught_up` does."""
        self.ledger.due = 0
        took = until_nothing(lambda: self.without_events(runs), patience, self.describe, self.check_simulation)
        self.ledger.due = math.inf
        return took

    async def _start(self, jobs: int, per_second: float) -> asyncio.Task[None]:
        return asyncio.create_task(self._simulation.run(jobs, per_second))

    async def _close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await self._api.close()
        await asyncio.sleep(0.25)  # for TLS to say goodbye (aiohttp: client advanced, graceful shutdown)

    def describe(self, waited: float, problems: Sequence[str]) -> str:
        """What is missing, and what the engine's log says of the objects that it is missing on."""
        named = {word.strip(":") for problem in problems[:10] for word in problem.split() if "-" in word}
        log = [line for line in self.engine.whole_log().splitlines() if any(name in line for name in named) or "ead" in line]
        shown = [*problems[:10], *problems[10:][-10:], "the engine's log of these:", *log[-150:]]
        return f"after {waited:.0f} s there were still {len(problems)} things missing:\n" + "\n".join(shown)

    def _found(self) -> dict[str, list[Object]]:
        return self._wait(self._simulation.found())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)


def until_nothing(
    missing: Callable[[], Sequence[str]],
    patience: float,
    describe: Callable[[float, Sequence[str]], str],
    check: Callable[[], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Seconds until nothing is missing. Fails with what `describe` makes of the seconds and of what is, where that is lost.

    It counts as lost where for `patience` seconds no less is missing: how long it all takes says how fast the machine is, where
    each thing waits for its turn in the engine's queue, and again after each pause.
    """
    started = came = monotonic()
    fewest = math.inf
    while problems := missing():
        check()
        now = monotonic()
        if len(problems) < fewest:
            fewest, came = len(problems), now
        assert now - came < patience, describe(now - started, problems)
        sleep(0.5)
    return monotonic() - started
