"""Whatever happens to a job, and whenever the engine dies: in the end the effects are those of the last state, each once.

What ended before its pack came into force, or came into force anew, is left.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import STRICTNESS, Mode
from engine.model.objects import annotations_of, metadata
from tests.world import APPLICATION, DEPLOYMENT, JOB, SERVICE, World, job, named, shipped, trigger, triggers

PACKS = [shipped(name) for name in ("on-success-triggers", "sync-waves", "failure-notifications")]
RESTART, SYNC = trigger(SERVICE, "model", "restart"), trigger(APPLICATION, "app", "sync", "argocd")
ROLLOUT = trigger(DEPLOYMENT, "web", "restart")
PHASES = ("Running", "Succeeded", "Succeeded", "Failed")
FAULTS = (Effect.CRASH_BEFORE, Effect.CRASH_AFTER, Effect.CUT_BEFORE, Effect.CUT_AFTER, 409, 429, 500)


class Histories(RuleBasedStateMachine):
    """One job with three triggers, an InferenceService, a Deployment and an Application; Argo CD plays along."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = World(*PACKS)
        self.world.simulators += [self._look, self._argo_cd]
        self.syncs: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()
        self.existing: tuple[str, ...] = ("", "")
        self.completions: list[str] = []
        self.modes = [Mode.ENFORCE for _ in PACKS]
        self.missed = False  # whether the triggers' pack came into force anew after the job's last end, which it leaves then
        self.phase = ""
        self.failed: list[str] = []
        self.faults = 0
        self.forgetful = False  # whether a process may have ended that was to send an Event again

    @initialize()
    def begin(self) -> None:
        here = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
        notes = {**triggers(RESTART, SYNC, ROLLOUT), "argocd.argoproj.io/sync-wave": "3"}
        objects = [
            named(SERVICE, "model", spec={"predictor": {}}),
            named(DEPLOYMENT, "web", spec={}),
            named(APPLICATION, "app", "argocd", spec=here),
        ]
        self._run(self.world.create(*objects, job(annotations=notes)))
        self._run(self.world.settle(5))

    @rule(phase=st.sampled_from(PHASES), seconds=st.integers(2, 90), evaluations=st.integers(0, 3))
    def change(self, phase: str, seconds: int, evaluations: int) -> None:
        """The job comes into a phase, maybe not for the first time, and the engine evaluates it a few times or not yet."""
        self._run(self.world.clock.advance(seconds))
        now = datetime.fromtimestamp(self.world.clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status: dict[str, Any] = {"phase": phase, "completionTime": now if phase in ("Succeeded", "Failed") else None}
        self.phase, self.missed = phase, False
        if phase == "Succeeded":
            self.completions.append(now)
        if phase == "Failed":
            self.failed.append(now)
        self._run(self.world.status(JOB, "train", status))
        for _ in range(evaluations):
            self._run(self.world.round())

    @rule(effect=st.sampled_from(FAULTS), after=st.integers(0, 6), verb=st.sampled_from((None, "patch", "create")))
    def fault(self, effect: Effect | int, after: int, verb: str | None) -> None:
        """One of the next calls of the engine fails, or is the last that it makes."""
        self.faults += 1
        self.forgetful |= self.faults > 1  # one of them may end the process
        self.world.engine.faults.add(InjectedFault(effect, verb=verb, after=after))

    @rule()
    def restart(self) -> None:
        """The engine ends between two evaluations."""
        self.forgetful |= self.faults > 0
        self.world.restart()

    @rule(modes=st.lists(st.sampled_from(list(Mode)), min_size=len(PACKS), max_size=len(PACKS)))
    def flags(self, modes: list[Mode]) -> None:
        """An administrator switches packs."""
        self.missed |= STRICTNESS.index(modes[0]) < STRICTNESS.index(self.modes[0])
        self.modes = modes
        self.world.use(*PACKS, modes={pack.name: mode for pack, mode in zip(PACKS, modes, strict=True)})

    @precondition(lambda self: self.phase)
    @rule(seconds=st.floats(0, 20))
    def go_on(self, seconds: float) -> None:
        """Time passes."""
        self._run(self.world.settle(seconds))

    def teardown(self) -> None:
        """All is mended and switched on; then everything is as the last state wants it."""
        try:
            if self.phase:
                self.world.engine.faults.clear()
                self.flags([Mode.ENFORCE for _ in PACKS])
                self._run(self.world.settle(400))
                self._run(self._check())
        finally:
            self.runner.close()

    async def _check(self) -> None:
        obj = await self.world.get(JOB, "train")
        uid, latest = metadata(obj)["uid"], self.completions[-1] if self.completions else ""
        events = Counter((reason, message.partition("\n")[0]) for _, reason, message in await self.world.events())
        assert all(count == 1 for cause, count in self.syncs.items()), self.syncs
        assert {cause.partition("/")[2] for cause in self.syncs} <= {*self.completions}
        assert events["TriggerFailed", ""] == 0
        assert not [reason for reason, _ in events if reason in ("TriggerFailed", "RuleFailed")], events
        assert sum(count for (reason, _), count in events.items() if reason == "TriggerStarted") <= 4, events
        assert events["ValidationFailed", "NotebookValidationJob 'train' failed:"] <= len(self.failed)
        notes = annotations_of(obj)
        ended = {"Succeeded": ("mlops.dev/wave-complete", "mlops.dev/completion-time"),
                 "Failed": ("mlops.dev/wave-failed", "mlops.dev/failure-time")}  # fmt: skip
        for phase, keys in ended.items():
            wanted = ["3", obj["status"].get("completionTime")] if phase == self.phase else [None, None]
            assert [notes.get(key) for key in keys] == wanted, (self.phase, notes)
        if self.phase == "Failed" and not self.forgetful:
            assert events["ValidationFailed", "NotebookValidationJob 'train' failed:"] >= 1
        if self.phase == "Succeeded" and not self.missed:
            assert self.syncs[f"{uid}/{latest}"] == 1, self.syncs
            assert self.forgetful or events["TriggerSuccess", "Started a sync of Application/app"] >= 1
            web = await self.world.get(DEPLOYMENT, "web")
            model = await self.world.get(SERVICE, "model")
            # Once for the run, whichever of its completions the engine saw first; what ended within 5 seconds is in it.
            for at in (annotations_of(web["spec"]["template"])["kubectl.kubernetes.io/restartedAt"],
                       model["spec"]["predictor"]["annotations"]["mlops.dev/restarted-at"]):  # fmt: skip
                assert self.completions[0] <= at
                assert self.restarts[at] <= 2, self.restarts
            assert len(self.restarts) <= 2

    async def _look(self, world: World) -> None:
        """Count the restarts: of what is restarted by its owner no pod goes."""
        web, model = await world.get(DEPLOYMENT, "web"), await world.get(SERVICE, "model")
        now = (
            annotations_of(web["spec"].get("template", {})).get("kubectl.kubernetes.io/restartedAt", ""),
            annotations_of({"metadata": model["spec"]["predictor"]}).get("mlops.dev/restarted-at", ""),
        )
        for before, after in zip(self.existing, now, strict=True):
            assert before <= after, f"restarted as of {after} after it had been restarted as of {before}"
            self.restarts[after] += before != after
        self.existing = now

    async def _argo_cd(self, world: World) -> None:
        """Take an operation up, and end it at the next step."""
        application = await world.get(APPLICATION, "app", "argocd")
        operation, state = application.get("operation"), application.get("status", {}).get("operationState") or {}
        if operation:
            self.syncs[operation["info"][0]["value"]] += 1
            body = {"operation": None, "status": {"operationState": {"phase": "Running", "operation": operation}}}
            await world.patch(APPLICATION, "app", body, "argocd")
        elif state.get("phase") == "Running":
            await world.patch(APPLICATION, "app", {"status": {"operationState": {"phase": "Succeeded"}}}, "argocd")

    def _run(self, work: Any) -> None:
        self.runner.run(work)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=50, stateful_step_count=15, suppress_health_check=[HealthCheck.too_slow], derandomize=False
)
