"""What goes wrong today beside the jobs' operator, as it really writes: each test states what should hold."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.capacity import serves
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.predictors import inference_service
from tests.faults import require
from tests.simulators.background import Background, Client
from tests.simulators.behavior import Behavior
from tests.simulators.jobs_operator import GIT, JobsOperator, Run
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import LABELS, workload
from tests.world import APPLICATION, DEPLOYMENT, EVENT, JOB, POD, SERVICE, job, trigger, triggers

REPLICAS = 3
#: Seconds in which whatever else the engine would do has happened: it does all but what is throttled at once.
QUIET = 3.0


class Pods(Background):
    """Records the uids of all pods with LABELS that a namespace ever has."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster.plane)
        self._path = f"/api/v1/namespaces/{cluster.namespace}/pods"
        self.uids: set[str] = set()

    async def play(self, client: Client) -> None:
        """Follow the pods."""
        async for pods in client.watch(self._path, ",".join(f"{key}={value}" for key, value in LABELS.items())):
            self.uids |= pods.keys()
            self.ready()


def create(cluster: Cluster, *asks: str, spec: Callable[[Object], Any] = lambda spec: None, **labels: str) -> None:
    """Create the job `train` of wave 3 that asks for this; `spec` changes its spec."""
    body = job(namespace=cluster.namespace, annotations={"argocd.argoproj.io/sync-wave": "3", **triggers(*asks)})
    if not asks:
        del body["metadata"]["annotations"]["mlops.dev/on-success-trigger"]
    spec(body["spec"])
    body["metadata"]["labels"] = {f"app.kubernetes.io/{key.replace('_', '-')}": value for key, value in labels.items()}
    cluster.create(body)


def done(cluster: Cluster, engine: Engine) -> Object:
    """The job, once it has ended and the engine has done all that it does about that."""

    def ended() -> Object:
        found = cluster.get(JOB, "train")
        return found if dig(found, ("status", "completionTime"), "") else {}

    eventually(ended, "end of the job")
    waves = {"mlops.dev/wave-complete", "mlops.dev/wave-failed"}
    eventually(lambda: waves & annotations_of(cluster.get(JOB, "train")).keys(), "wave that is complete or has failed")
    time.sleep(QUIET)
    eventually(engine.idle, "engine with nothing in its queue")
    return cluster.get(JOB, "train")


def reported(cluster: Cluster, reason: str) -> list[str]:
    """The messages of the Events of this reason about the job; one that was counted up stands there as often as it says."""
    events = [event for event in cluster.all(EVENT) if event["involvedObject"]["name"] == "train" and event["reason"] == reason]
    return [str(event["message"]) for event in events for _ in range(event.get("count") or 1)]


def ready(cluster: Cluster) -> set[str]:
    """The uids of the Deployment's pods, once as many as it wants are Ready and no others are there."""

    def pods() -> set[str]:
        found = [pod for pod in cluster.all(POD) if LABELS.items() <= metadata(pod).get("labels", {}).items()]
        complete = len(found) == REPLICAS and all(map(serves, found))
        return {str(metadata(pod)["uid"]) for pod in found} if complete else set()

    return eventually(pods, "Ready pods")


def test_a_deployment_is_restarted_once(cluster: Cluster, engine: Engine, newer: JobsOperator, kubelet: Kubelet) -> None:
    """As many pods are created as the Deployment has, though both carry out the trigger."""
    kubelet.use(Behavior(load=0.3, stop=0.2), cluster.namespace, LABELS)
    workload(cluster, DEPLOYMENT, replicas=REPLICAS)
    old = ready(cluster)
    with Pods(cluster) as pods:
        create(cluster, trigger(DEPLOYMENT, "web", "restart"))
        done(cluster, engine)
        new = ready(cluster)

    assert not new & old
    assert len(pods.uids - old) == REPLICAS, f"{len(pods.uids - old)} pods were created for {REPLICAS}"


def test_a_failed_build_is_reported_once(cluster: Cluster, engine: Engine, older: JobsOperator) -> None:
    """One run that fails, one Event, though its operator writes Failed in two steps."""
    older.use(Run(build_error="no such strategy"))
    create(cluster, spec=lambda spec: spec["podConfig"].update(buildConfig={"enabled": True}))

    done(cluster, engine)

    messages = reported(cluster, "ValidationFailed")
    assert messages
    require(len(messages) == 1, messages)


def test_a_failed_build_is_reported_with_its_reason(cluster: Cluster, engine: Engine, older: JobsOperator) -> None:
    """The reason of a build that fails is in buildStatus, and in the Event."""
    older.use(Run(build_error="no such strategy"))
    create(cluster, spec=lambda spec: spec["podConfig"].update(buildConfig={"enabled": True}))

    done(cluster, engine)

    messages = reported(cluster, "ValidationFailed")
    assert messages
    require(all("no such strategy" in message for message in messages), messages)


def test_a_failed_run_is_reported_once_beside_the_newer_operator(cluster: Cluster, engine: Engine, newer: JobsOperator) -> None:
    """One run that fails, one Event, though both report it."""
    newer.use(Run(failures=3))
    create(cluster)

    done(cluster, engine)

    messages = reported(cluster, "ValidationFailed")
    assert messages
    assert len(messages) == 1, messages


def test_a_git_failure_is_not_reported_as_the_first_of_three_attempts(
    cluster: Cluster, engine: Engine, older: JobsOperator
) -> None:
    """A failure that its operator never retries is final at the first attempt."""
    older.use(Run(failures=3, container=GIT, error="Authentication failed"))
    create(cluster)

    done(cluster, engine)

    (message,) = reported(cluster, "ValidationFailed")
    require("1/3" not in message, message)


def test_a_git_failure_points_to_the_log_of_the_container_that_failed(
    cluster: Cluster, engine: Engine, older: JobsOperator
) -> None:
    """The log to read is that of the container git-clone."""
    older.use(Run(failures=3, container=GIT, error="Authentication failed"))
    create(cluster)

    done(cluster, engine)

    (message,) = reported(cluster, "ValidationFailed")
    require(f"-c {GIT}" in message, message)


def test_a_missing_secret_points_to_no_log(cluster: Cluster, engine: Engine, older: JobsOperator) -> None:
    """Where no pod ever was there is no log to read."""
    create(cluster, spec=lambda spec: spec["notebook"]["git"].update(credentialsSecret="models"))

    done(cluster, engine)

    (message,) = reported(cluster, "ValidationFailed")
    assert "models" in message
    require("kubectl logs" not in message, message)


def test_a_target_that_comes_later_is_waited_for(cluster: Cluster, engine: Engine, older: JobsOperator) -> None:
    """On a first deployment the service of wave 4 is created after the job of wave 3 has succeeded: no Warning of that."""
    create(cluster, trigger(SERVICE, "model", "restart"))
    done(cluster, engine)

    cluster.create(inference_service("model", cluster.namespace))

    eventually(lambda: reported(cluster, "TriggerSuccess"), "Event")
    (message,) = reported(cluster, "TriggerSuccess")
    assert "is already newer than the training" in message
    assert reported(cluster, "TriggerFailed") == []


def test_an_applications_state_and_counts_fit(cluster: Cluster, engine: Engine, application: str, newer: JobsOperator) -> None:
    """Once a job has succeeded, both the state and the counts on its Application say so."""
    create(cluster, part_of=application)
    done(cluster, engine)

    annotations = annotations_of(cluster.get(APPLICATION, application, "argocd"))
    found = annotations["mlops.dev/notebook-state"], annotations["mlops.dev/notebook-summary"].partition(" ")[0]
    require(found == ("Succeeded", "1/1"), found)
