"""What the simulators have seen and done, and whether in the end each job has had each of its effects exactly once."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.model.objects import Object, annotations_of, dig, metadata

NOTE = "example.com/note"
"""The annotation that the users' own pack writes."""


@dataclass(slots=True)
class Run:
    """One run of a job: what it triggers, and how it ended."""

    name: str
    group: int
    wave: str
    workload: bool
    """Whether it restarts a Deployment as well."""
    uid: str = ""
    phase: str = ""
    completion: str = ""

    @property
    def service(self) -> str:
        """The InferenceService that it restarts."""
        return f"model-{self.group}"

    @property
    def deployment(self) -> str:
        """The Deployment that it may restart."""
        return f"web-{self.group}"

    @property
    def application(self) -> str:
        """The Application that it belongs to."""
        return f"app-{self.group}"

    @property
    def consumer(self) -> str:
        """The Application that it syncs."""
        return f"consumer-{self.group}"


@dataclass(slots=True)
class Ledger:
    """Written by the simulators' thread, read by the others'. `wrong` holds what can never be put right again."""

    runs: dict[str, Run] = field(default_factory=dict)
    """The latest run by name."""
    ended: list[Run] = field(default_factory=list)
    """Every run that has ended, those that were deleted included."""
    syncs: Counter[str] = field(default_factory=Counter)
    """How often Argo CD was asked to sync an Application, by Application and cause."""
    asked: dict[str, str] = field(default_factory=dict)
    """When the engine last started a sync, by Application: that is for every run that has ended by then."""
    evicted: int = 0
    alone: int = 0
    """How often a pod went while another one of its service was not Ready."""
    rollouts: int = 0
    wrong: list[str] = field(default_factory=list)
    due: float = math.inf
    """How many jobs may have begun by now."""
    enough: bool = False
    """Whether no further job is to begin."""
    statuses: bool = True
    """Whether Applications say how their jobs are; at most once a minute, so that the end of it takes that long."""
    all_ended: bool = False
    _latest: dict[str, str] = field(default_factory=dict)
    """The latest completion of each service, also of runs that were deleted since."""
    _restarts: dict[str, str] = field(default_factory=dict)
    _ready: dict[str, set[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ends(self, run: Run, phase: str, completion: str) -> None:
        """A run is about to end."""
        with self._lock:
            run.phase, run.completion = phase, completion
            self.ended.append(run)
            if phase == "Succeeded":
                self._latest[run.service] = max(completion, self._latest.get(run.service, ""))

    def pod_ready(self, service: str, name: str) -> None:
        """A pod is about to become Ready."""
        self._ready.setdefault(service, set()).add(name)

    def pod_gone(self, service: str, pod: Object) -> None:
        """A pod is gone: it must have been older than a completion that there was by then."""
        self.evicted += 1
        created, name = str(metadata(pod)["creationTimestamp"]), str(metadata(pod)["name"])
        ready = self._ready.setdefault(service, set())
        ready.discard(name)
        self.alone += not ready
        if not created < self._latest.get(service, ""):
            self.wrong.append(f"pod {name} of {created} is gone, and no run had ended after that: {self._latest.get(service)}")

    def synced(self, application: str, operation: Mapping[str, Any]) -> None:
        """Argo CD takes an operation up."""
        cause, *asked = (str(info["value"]) for info in operation["info"])
        self.asked[application] = max(self.asked.get(application, ""), *asked)
        self.syncs[f"{application} {cause}"] += 1
        if self.syncs[f"{application} {cause}"] > 1:
            self.wrong.append(f"{application} was synced again for {cause}")

    def rolled_out(self, deployment: Object) -> None:
        """A Deployment has changed: its restarts only move forward."""
        name, at = str(metadata(deployment)["name"]), restarted_at(deployment)
        before = self._restarts.get(name, "")
        if at < before:
            self.wrong.append(f"{name} was restarted as of {at} after it had been restarted as of {before}")
        self.rollouts += at != before
        self._restarts[name] = at

    def missing(self, found: Mapping[str, Sequence[Object]], note: str) -> list[str]:
        """What is not (yet) as it should be. `found` holds all objects by kind, `note` what the users' pack writes at last."""
        jobs = {str(metadata(obj)["name"]): obj for obj in found["NotebookValidationJob"]}
        about = _about(found)
        applications = {str(metadata(obj)["name"]): obj for obj in found["Application"]}
        problems = [f"{what[1]} {what[2]!r}: {count} Events" for what, count in about.items() if count > 1]
        problems += [f"{reason}: {message}" for _, reason, message in about if reason in ("TriggerFailed", "RuleFailed")]
        with self._lock:
            runs = list(self.runs.values())
        problems += self.without_events(runs, found)
        for run in runs:
            problems += [f"{run.name} ({run.phase}): {problem}" for problem in self._annotations(run, jobs[run.name], note)]
            if run.phase == "Succeeded" and run.completion > self.asked.get(run.consumer, ""):
                problems.append(f"{run.name}: {run.consumer} was not synced for it")
        return problems + list(self._pods(found["Pod"])) + list(self._restarted(found)) + list(self._statuses(applications))

    def without_events(self, runs: Sequence[Run], found: Mapping[str, Sequence[Object]]) -> list[str]:
        """The Events that runs must have caused, and of which there is not exactly one."""
        about = _about(found)
        uids = {str(metadata(obj)["name"]): str(metadata(obj)["uid"]) for obj in found["Application"]}
        return [
            f"{run.name} ({run.phase}): {about[wanted]} Events {wanted[1]} {wanted[2][:60]!r}"
            for run in runs
            for wanted in self._wanted(run, uids[run.application])
            if about[wanted] != 1
        ]

    @staticmethod
    def _wanted(run: Run, application: str) -> list[tuple[str, str, str]]:
        """(uid of what it is about, reason, message) of each Event that a run must have caused."""
        if run.phase != "Succeeded":
            return [(uid, "ValidationFailed", failure_of(run)) for uid in (run.uid, application)]
        wanted = [
            (run.uid, "Noted", f"noted {run.name}"),
            (run.uid, "TriggerStarted", f"Restarting InferenceService/{run.service}"),
            (run.uid, "TriggerSuccess", f"Started a sync of Application/{run.consumer}"),
        ]
        return [*wanted, (run.uid, "TriggerStarted", f"Restarting Deployment/{run.deployment}")] if run.workload else wanted

    @staticmethod
    def _annotations(run: Run, obj: Object, note: str) -> Iterator[str]:
        good, bad = (run.wave, run.completion), (None, None)
        done = run.phase == "Succeeded"
        wanted = dict(zip(("mlops.dev/wave-complete", "mlops.dev/completion-time"), good if done else bad, strict=True))
        wanted |= dict(zip(("mlops.dev/wave-failed", "mlops.dev/failure-time"), bad if done else good, strict=True))
        wanted[NOTE] = note if done else None
        found = annotations_of(obj)
        for key, value in wanted.items():
            if found.get(key) != value:
                yield f"{key} is {found.get(key)!r}, not {value!r}"

    def _pods(self, pods: Sequence[Object]) -> Iterator[str]:
        """What is wrong with pods. A run that was deleted, perhaps before anybody had seen it, does not ask for new ones."""
        latest: dict[str, str] = {}
        for run in self.runs.values():
            if run.phase == "Succeeded":
                latest[run.service] = max(run.completion, latest.get(run.service, ""))
        counts = Counter(str(metadata(pod)["labels"]["serving.kserve.io/inferenceservice"]) for pod in pods)
        for service in latest:
            if counts[service] != 2:
                yield f"{service} has {counts[service]} pods"
        for pod in pods:
            if not dig(pod, ("status", "conditions")):
                yield f"pod {metadata(pod)['name']} is not Ready"
        for pod in pods:
            service = str(metadata(pod)["labels"]["serving.kserve.io/inferenceservice"])
            created, completion = str(metadata(pod)["creationTimestamp"]), latest.get(service, "")
            if created < completion:
                leaving = metadata(pod).get("deletionTimestamp")
                gone = f", and terminating since {leaving}" if leaving else ""
                yield f"pod {metadata(pod)['name']} of {created} is older than the completion {completion}{gone}"

    def _restarted(self, found: Mapping[str, Sequence[Object]]) -> Iterator[str]:
        wanted: dict[str, str] = {}
        for run in self.runs.values():
            if run.phase == "Succeeded" and run.workload:
                wanted[run.deployment] = max(run.completion, wanted.get(run.deployment, ""))
        at = {str(metadata(obj)["name"]): restarted_at(obj) for obj in found["Deployment"]}
        for name, completion in wanted.items():
            if at[name] < completion:
                yield f"{name} was restarted as of {at[name]!r}, not {completion!r}"

    def _statuses(self, applications: Mapping[str, Object]) -> Iterator[str]:
        wanted: dict[str, Counter[str]] = {}
        for run in self.runs.values() if self.statuses else ():
            wanted.setdefault(run.application, Counter())[run.phase] += 1
        for name, counts in wanted.items():
            published = json.loads(annotations_of(applications[name]).get("mlops.dev/notebook-status", "{}"))
            seen = (published.get("total"), published.get("succeeded"), published.get("failed"))
            if seen != (counts.total(), counts["Succeeded"], counts["Failed"]):
                yield f"{name} says {seen} of its jobs, not {counts.total()} with {dict(counts)}"


NEWER = " is already newer than the training"


def _about(found: Mapping[str, Sequence[Object]]) -> Counter[tuple[str, str, str]]:
    return Counter(map(_event_key, found["Event"]))


def _event_key(event: Object) -> tuple[str, str, str]:
    """uid of what an Event is about, reason, and the first line of the message: of a restart, what a job hears of it.

    That it is newer already is as good an answer to a run as that it is restarted for it; so is a sync together with others. What
    is restarted has an Event for each run: the uid is that of both, since two runs of one name may end within the same second.
    """
    reason, message = event["reason"], event["message"].partition("\n")[0]
    if event["involvedObject"].get("kind") != "NotebookValidationJob":
        run = f" for {event['related']['uid']}" if reason == "TriggerStarted" else ""
        return f"{event['involvedObject'].get('uid')}{run}", reason, message
    if reason == "TriggerStarted":
        message = message.partition(",")[0]
    elif reason == "TriggerSuccess" and NEWER in message:
        reason, message = "TriggerStarted", f"Restarting {message.partition(NEWER)[0]}"
    elif reason == "TriggerSuccess" and message.startswith("One sync of "):
        message = f"Started a sync of {message.removeprefix('One sync of ').partition(' ')[0]}"
    return str(event["involvedObject"].get("uid")), reason, message


def failure_of(run: Run) -> str:
    """How the message begins that people get of a failed run."""
    return f"NotebookValidationJob '{run.name}' failed:"


def restarted_at(deployment: Object) -> str:
    """What `kubectl rollout restart` writes; '' where nobody has restarted it."""
    return str(annotations_of(dig(deployment, ("spec", "template"), {})).get("kubectl.kubernetes.io/restartedAt", ""))
