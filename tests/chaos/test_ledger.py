"""The check at the end of a chaos run finds what was lost and what was doubled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from engine.model.objects import Object, metadata
from tests.chaos.ledger import NOTE, Ledger, Run
from tests.chaos.scenario import until_nothing
from tests.world import APPLICATION, EVENT, JOB, job, named, pod

EARLY, DONE, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"


def ended(ledger: Ledger, uid: str = "uid-1", completion: str = DONE, group: int = 0) -> Run:
    """A run that has succeeded, and of which the Application was synced."""
    run = Run("train", group, "3", workload=False, uid=uid)
    ledger.runs[run.name] = run
    ledger.ends(run, "Succeeded", completion)
    ledger.synced(run.consumer, sync_for(uid, completion))
    return run


def sync_for(uid: str, completion: str) -> dict[str, Any]:
    """A sync that was started for a run in the second in which that ended."""
    return {"info": [{"value": f"{uid}/{completion}"}, {"name": "mlops.dev/asked-at", "value": completion}]}


def model(name: str, created: str, service: str = "model-0") -> Object:
    """A pod of a service."""
    made = pod(name, service)
    return {**made, "metadata": {**metadata(made), "creationTimestamp": created}}


def events_of(*messages: str, uid: str = "uid-1", reason: str = "TriggerSuccess") -> list[Object]:
    """Events about a run."""
    reasons = {message: "TriggerStarted" if message == RESTARTED else reason for message in messages}
    about = {"kind": JOB.kind, "uid": uid}
    return [named(EVENT, "e", involvedObject=about, reason=reasons[message], message=message) for message in messages]


RESTARTED, SYNCED = "Restarting InferenceService/model-0", "Started a sync of Application/consumer-0"


def found(pods: list[Object], events: list[Object], **annotations: Any) -> dict[str, list[Object]]:
    """All objects as they are in the end, where one run of the job `train` has succeeded."""
    notes = {"mlops.dev/wave-complete": "3", "mlops.dev/completion-time": DONE, NOTE: "note", **annotations}
    status = {"mlops.dev/notebook-status": '{"total":1,"succeeded":1,"failed":0}'}
    application = {**named(APPLICATION, "app-0"), "metadata": {"name": "app-0", "uid": "app", "annotations": status}}
    return {
        JOB.kind: [job(annotations=notes)],
        "Pod": pods,
        "Event": [*events_of("noted train", reason="Noted"), *events],
        "Application": [application],
        "Deployment": [],
    }


NEW = [model("new-0", LATE), model("new-1", DONE)]


def test_nothing_is_missing_where_each_effect_is_there_once() -> None:
    """Two new pods, one Event of each kind, one sync and the right annotations are all there is to ask for."""
    ledger = Ledger()
    ended(ledger)
    assert ledger.missing(found(NEW, events_of(RESTARTED, SYNCED)), "note") == []
    assert ledger.wrong == []


def test_what_was_lost_is_reported() -> None:
    """A pod that is older than the completion, an Event that is not there, and an annotation of an earlier state."""
    ledger = Ledger()
    ended(ledger)
    problems = ledger.missing(found([model("old-0", EARLY), NEW[0]], events_of(SYNCED), **{NOTE: "earlier"}), "note")
    assert problems == [
        f"train (Succeeded): 0 Events TriggerStarted '{RESTARTED}'",
        f"train (Succeeded): {NOTE} is 'earlier', not 'note'",
        f"pod old-0 of {EARLY} is older than the completion {DONE}",
    ]


def test_a_sync_is_for_what_had_ended_when_it_was_started() -> None:
    """One that was started for another run is for this one too, unless this one ended later."""
    ledger = Ledger()
    run = ended(ledger)
    shared = "One sync of Application/consumer-0 is for this training and for others"
    late = Run("train", 0, "3", workload=False, uid="uid-2")
    assert ledger.missing(found(NEW, events_of(RESTARTED, shared)), "note") == []

    ledger.runs = {"train": late}
    ledger.ends(late, "Succeeded", LATE)

    assert f"train: {run.consumer} was not synced for it" in ledger.missing(found(NEW, []), "note")


def test_what_was_doubled_is_reported() -> None:
    """A second Event, a second sync of one cause, and a pod that went though it was newer than every completion."""
    ledger = Ledger()
    run = ended(ledger)
    ledger.synced(run.consumer, sync_for("uid-1", DONE))
    ledger.pod_gone("model-0", model("new-2", LATE))
    assert f"TriggerStarted '{RESTARTED}': 2 Events" in ledger.missing(
        found(NEW, events_of(RESTARTED, RESTARTED, SYNCED)), "note"
    )
    assert len(ledger.wrong) == 2


def test_a_run_that_was_deleted_asks_for_nothing() -> None:
    """The engine may never have seen it; if it has, then pods that are older than its completion may have gone."""
    ledger = Ledger()
    ended(ledger, "uid-0", LATE, group=1)
    ended(ledger)
    ledger.pod_gone("model-1", model("old-1", EARLY, "model-1"))
    pods = [*NEW, model("old-2", EARLY, "model-1"), model("old-3", EARLY, "model-1")]
    assert ledger.missing(found(pods, events_of(RESTARTED, SYNCED)), "note") == []
    assert ledger.wrong == []


def restart_of(service: str, run: str) -> Object:
    """The Event on a service that it is restarted for a run of `train` that ended at DONE."""
    about = {"kind": "InferenceService", "uid": service}
    message = f"Restarting InferenceService/model-0, so that it runs what ns/train has trained until {DONE}."
    return named(EVENT, "e", involvedObject=about, related={"uid": run}, reason="TriggerStarted", message=message)


def test_two_runs_of_one_name_have_a_restart_each() -> None:
    """The first one was deleted, and both ended within the same second; two Events for one of them are one too many."""
    ledger = Ledger()
    ended(ledger)
    both = [restart_of("model", "uid-0"), restart_of("model", "uid-1")]
    assert ledger.missing(found(NEW, [*events_of(RESTARTED, SYNCED), *both]), "note") == []

    (problem,) = ledger.missing(found(NEW, [*events_of(RESTARTED, SYNCED), *both, restart_of("model", "uid-0")]), "note")

    assert problem.endswith(": 2 Events")


class Late:
    """A clock that only `sleep` moves, and effects that come one after the other, each after so many seconds."""

    def __init__(self, *pauses: float) -> None:
        self.now, self.pauses = 0.0, list(pauses)

    def missing(self) -> list[str]:
        """What has not come yet."""
        came = [sum(self.pauses[: number + 1]) for number in range(len(self.pauses))]
        return [f"effect {number}" for number, at in enumerate(came) if at > self.now]

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.now += seconds

    def wait(self, patience: float) -> float:
        """Wait until nothing is missing."""

        def describe(waited: float, problems: Sequence[str]) -> str:
            return f"after {waited:.0f} s {len(problems)} are missing"

        return until_nothing(self.missing, patience, describe, lambda: None, lambda: self.now, self.sleep)


def test_what_is_late_is_waited_for_as_long_as_more_comes() -> None:
    """However long all of it takes: that is up to the machine."""
    assert Late(100, 110, 90).wait(patience=120) == 300


def test_what_does_not_come_is_lost() -> None:
    """Nothing of what is missing has come for longer than an engine needs to notice a silent watch."""
    with pytest.raises(AssertionError, match="after 220 s 2 are missing"):
        Late(100, 130, 10).wait(patience=120)
