"""The order in which the jobs' operator writes a job's status: what the tests of the packs rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from engine.model.objects import Kind, Object, annotations_of, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.kinds import install_kinds
from tests.simulators.background import Background, Client
from tests.simulators.behavior import Behavior
from tests.simulators.job_annotations import COMPONENT
from tests.simulators.jobs_operator import GIT, OWN_NODE, JobsOperator, Run
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import LABELS, workload
from tests.world import APPLICATION, DEPLOYMENT, JOB, POD, job, named, trigger, triggers

AGENT = "simulator-JobsOperator"
SECRET = Kind("v1", "Secret")
POD_NAME = "train-validation"


class Statuses(Background):
    """Records each status of the job `train`, as a watch shows it."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        super().__init__(plane)
        self._path = f"/apis/{JOB.api_version}/namespaces/{namespace}/notebookvalidationjobs"
        self.all: list[Object] = []

    async def play(self, client: Client) -> None:
        """Follow the job."""
        async for jobs in client.watch(self._path):
            self.all += [status for one in jobs.values() if (status := one.get("status", {})) not in ({}, *self.all[-1:])]
            self.ready()

    def of(self, field: str) -> list[Any]:
        """The values of a field, one for each time that it has changed until now."""
        eventually(lambda: self.all[-1:] == [self.plane.request("GET", f"{self._path}/train")["status"]], "record up to now")
        values = [status.get(field) for status in self.all]
        return [value for index, value in enumerate(values) if index == 0 or value != values[index - 1]]


@pytest.fixture
def statuses(control_plane: ControlPlane, namespace: str) -> Iterator[Statuses]:
    """What is written of the test's own job."""
    install_kinds(control_plane)
    with Statuses(control_plane, namespace) as statuses:
        yield statuses


@pytest.fixture
def operator(control_plane: ControlPlane, namespace: str, statuses: Statuses) -> Iterator[JobsOperator]:
    """The operator as it was before it did anything with annotations."""
    with JobsOperator(control_plane, namespace) as operator:
        yield operator


@pytest.fixture
def newer(control_plane: ControlPlane, namespace: str, statuses: Statuses) -> Iterator[JobsOperator]:
    """The operator that carries out annotations, with a kubelet beside it."""
    with JobsOperator(control_plane, namespace, handles_triggers=True) as operator:
        yield operator


def ended(cluster: Cluster) -> Object:
    """The job, once it has a completion time."""
    return eventually(lambda: found if dig(found := cluster.get(JOB, "train"), ("status", "completionTime"), "") else {}, "end")


def puts(cluster: Cluster) -> list[str]:
    """Which of its subresources ('' the job itself) the operator has put, in order."""
    path = f"/namespaces/{cluster.namespace}/notebookvalidationjobs/train"
    written = [write.partition(path)[2] for write in cluster.plane.writes(user_agent=AGENT) if path in write]
    return [subresource.removeprefix("/") for subresource in written]


def test_a_success(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """Seven writes of the status; the last has the phase and the completion time in one."""
    cluster.create(job(namespace=cluster.namespace))

    done = ended(cluster)

    assert statuses.of("phase") == ["Initializing", "ValidationRunning", "Running", "ValidationRunning", "Succeeded"]
    assert [sorted(status) for status in statuses.all] == [
        ["conditions", "phase", "startTime"],
        ["conditions", "phase", "startTime"],
        ["conditions", "message", "phase", "startTime"],
        ["conditions", "message", "phase", "startTime", "validationPodName"],
        ["conditions", "message", "phase", "startTime", "validationPodName"],
        ["conditions", "message", "phase", "results", "startTime", "validationPodName"],
        ["completionTime", "conditions", "message", "phase", "results", "startTime", "validationPodName"],
    ]
    assert puts(cluster) == ["status"] * 7
    assert annotations_of(done) == {}


def test_a_pod_that_fails_three_times(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """Fifteen writes; it is never Failed in between, and retryCount counts the failures."""
    operator.use(Run(failures=3))
    cluster.create(job(namespace=cluster.namespace))

    done = ended(cluster)

    assert statuses.of("retryCount") == [None, 1, 2, 3]
    assert all(status.get("lastRetryTime") for status in statuses.all if "retryCount" in status)
    again = ["Running", "ValidationRunning"]
    assert statuses.of("phase") == ["Initializing", "ValidationRunning", *again, *again, *again, "Failed"]
    assert puts(cluster) == ["status"] * 15
    assert "kserve_wrapper" in done["status"]["message"]


def test_a_pod_that_fails_once(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """The next one may succeed; the count stays."""
    operator.use(Run(failures=1))
    cluster.create(job(namespace=cluster.namespace))

    done = ended(cluster)

    assert (done["status"]["phase"], done["status"]["retryCount"]) == ("Succeeded", 1)


def test_a_job_that_replaces_another(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """A job that comes while the pod of a former one still runs ends with that pod; no garbage collector runs here."""
    operator.use(Run(training=1.0))
    first = job(namespace=cluster.namespace)
    cluster.create(first)
    eventually(lambda: cluster.find(POD, POD_NAME), "pod of the first job")
    (pod,) = cluster.all(POD)
    cluster.delete(JOB, "train")
    cluster.create(first)

    done = ended(cluster)

    assert done["status"]["phase"] == "Succeeded"
    assert [metadata(one)["uid"] for one in cluster.all(POD)] == [metadata(pod)["uid"]]
    assert metadata(pod)["ownerReferences"][0]["uid"] != metadata(done)["uid"]


def test_the_pod_goes_while_it_runs(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """As where the garbage collector removes the pod of a former job, which a new one has taken over: Failed at once."""
    operator.use(Run(training=60.0))
    cluster.create(job(namespace=cluster.namespace))
    eventually(lambda: cluster.find(POD, POD_NAME), "its pod")

    cluster.delete(POD, POD_NAME)
    done = ended(cluster)

    assert done["status"]["phase"] == "Failed"
    assert "not found" in done["status"]["message"]


def test_git_authentication_fails(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """It is not tried again, though retryCount says 1."""
    operator.use(Run(failures=3, container=GIT, error="Authentication failed"))
    cluster.create(job(namespace=cluster.namespace))

    done = ended(cluster)

    assert statuses.of("retryCount") == [None, 1]
    assert statuses.of("phase")[-2:] == ["ValidationRunning", "Failed"]
    assert puts(cluster) == ["status"] * 7
    assert "git-clone - Authentication failed" in done["status"]["message"]


def test_the_git_secret_is_missing(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """It fails at once; there never was a pod, nor a retryCount."""
    body = job(namespace=cluster.namespace)
    body["spec"]["notebook"]["git"]["credentialsSecret"] = "models"
    cluster.create(body)

    done = ended(cluster)

    assert statuses.of("phase") == ["Initializing", "ValidationRunning", "Running", "Failed"]
    assert not {"validationPodName", "retryCount"} & done["status"].keys()
    assert (puts(cluster), cluster.all(POD)) == (["status"] * 4, [])


def test_a_git_secret_that_is_there(cluster: Cluster, operator: JobsOperator) -> None:
    """With it the job runs."""
    body = job(namespace=cluster.namespace)
    body["spec"]["notebook"]["git"]["credentialsSecret"] = "models"
    cluster.create(named(SECRET, "models", cluster.namespace), body)

    assert ended(cluster)["status"]["phase"] == "Succeeded"


def building(cluster: Cluster) -> Object:
    """A job whose image is built first."""
    body = job(namespace=cluster.namespace)
    body["spec"]["podConfig"]["buildConfig"] = {"enabled": True}
    return body


def test_a_build_fails_in_two_steps(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """Failed without a completion time and without a message, then with both; the reason is in buildStatus alone."""
    operator.use(Run(build_error="no such strategy"))
    cluster.create(building(cluster))

    done = ended(cluster)

    assert statuses.of("phase") == ["Initializing", "Building", "Failed"]
    assert [one and one["phase"] for one in statuses.of("buildStatus")] == [None, "Pending", "Running", "Failed"]
    first, second = (status for status in statuses.all if status["phase"] == "Failed")
    assert not {"completionTime", "message"} & first.keys()
    assert second["message"] == "Unknown phase: Failed"
    assert done["status"]["buildStatus"]["message"] == "Build failed: no such strategy"
    assert cluster.all(POD) == []


def test_a_build_succeeds(cluster: Cluster, statuses: Statuses, operator: JobsOperator) -> None:
    """Then the notebook runs."""
    cluster.create(building(cluster))

    ended(cluster)

    assert statuses.of("phase")[:4] == ["Initializing", "Building", "BuildComplete", "ValidationRunning"]
    assert statuses.of("phase")[-1] == "Succeeded"


def test_a_job_runs_once_and_a_new_one_of_its_name_again(cluster: Cluster, operator: JobsOperator) -> None:
    """A new run is a new object."""
    cluster.create(job(namespace=cluster.namespace))
    first = ended(cluster)
    cluster.patch(JOB, "train", {"metadata": {"annotations": {"example.com/seen": "yes"}}})
    cluster.delete(POD, POD_NAME)  # now: the garbage collector might do it first, or only after the new job has begun
    cluster.delete(JOB, "train")

    cluster.create(job(namespace=cluster.namespace))
    second = ended(cluster)

    assert metadata(first)["uid"] != metadata(second)["uid"]
    assert puts(cluster) == ["status"] * 14


def test_a_new_job_takes_over_the_pod_of_the_one_that_it_replaces(
    cluster: Cluster, statuses: Statuses, operator: JobsOperator
) -> None:
    """Where the old pod is still there, it succeeds without any training."""
    spec = {"containers": [{"name": "main", "image": "example.com/old"}], "nodeName": OWN_NODE}  # no kubelet runs it again
    owned_by_nobody = named(POD, POD_NAME, cluster.namespace, spec=spec)
    cluster.create({**owned_by_nobody, "status": {"phase": "Succeeded"}})

    cluster.create(job(namespace=cluster.namespace))
    done = ended(cluster)

    assert statuses.of("phase") == ["Initializing", "ValidationRunning", "Succeeded"]
    assert "validationPodName" not in done["status"]


def test_its_writes_keep_annotations_and_it_goes_on_after_a_conflict(cluster: Cluster, newer: JobsOperator) -> None:
    """Whatever others write onto the job meanwhile stays there, and the job ends all the same."""
    newer.use(Run(training=1))
    cluster.create(job(namespace=cluster.namespace, annotations={"argocd.argoproj.io/sync-wave": "3"}))
    eventually(lambda: dig(cluster.get(JOB, "train"), ("status", "validationPodName"), ""), "pod")
    for number in range(3):
        cluster.patch(JOB, "train", {"metadata": {"annotations": {f"example.com/mark-{number}": "kept"}}})

    eventually(lambda: "mlops.dev/wave-complete" in annotations_of(cluster.get(JOB, "train")), "wave that is complete")

    annotations = annotations_of(cluster.get(JOB, "train"))
    assert [annotations[f"example.com/mark-{number}"] for number in range(3)] == ["kept"] * 3


def test_it_writes_the_wave_onto_the_job_after_the_end(cluster: Cluster, newer: JobsOperator) -> None:
    """By one write of the whole object."""
    cluster.create(job(namespace=cluster.namespace, annotations={"argocd.argoproj.io/sync-wave": "3"}))

    def marks() -> Mapping[str, str]:
        found = annotations_of(cluster.get(JOB, "train"))
        return found if "mlops.dev/wave-complete" in found else {}

    annotations = eventually(marks, "wave that is complete")

    assert (annotations["mlops.dev/wave-complete"], puts(cluster)) == ("3", [*["status"] * 7, ""])
    assert annotations["mlops.dev/completion-time"]


def test_it_deletes_all_pods_before_it_says_that_the_job_has_succeeded(
    cluster: Cluster, newer: JobsOperator, kubelet: Kubelet
) -> None:
    """All pods of a Deployment go at once, and before the job's completion time is written."""
    kubelet.use(Behavior(load=0.2), cluster.namespace, LABELS)
    workload(cluster, DEPLOYMENT, replicas=3)
    eventually(lambda: dig(cluster.get(DEPLOYMENT, "web"), ("status", "readyReplicas"), 0) == 3, "Ready pods")

    cluster.create(job(namespace=cluster.namespace, annotations=triggers(trigger(DEPLOYMENT, "web", "restart"))))
    ended(cluster)

    inside = f"/namespaces/{cluster.namespace}/"
    written = [write for write in cluster.plane.writes(user_agent=AGENT) if inside in write]
    deleted = [index for index, write in enumerate(written) if write.startswith("delete") and "/pods/web" in write]
    last_status = max(index for index, write in enumerate(written) if write.endswith("/train/status"))
    assert len(deleted) == 3
    assert max(deleted) < last_status


@pytest.fixture
def application(control_plane: ControlPlane, cluster: Cluster, statuses: Statuses) -> Callable[[], Object]:
    """An Application of the test's own name in the namespace argocd."""
    control_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "argocd"}})
    body = named(APPLICATION, cluster.namespace, "argocd", spec={"project": "default"})
    body["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "7"}
    cluster.create(body)
    return lambda: cluster.get(APPLICATION, cluster.namespace, "argocd")


def test_a_sync_is_a_comparison_only(cluster: Cluster, newer: JobsOperator, application: Callable[[], Object]) -> None:
    """It asks Argo CD to compare, starts no operation, and overwrites the Application's own wave."""
    asks = triggers(trigger(APPLICATION, cluster.namespace, "sync", "argocd"))
    cluster.create(job(namespace=cluster.namespace, annotations=asks))

    ended(cluster)

    annotations = annotations_of(application())
    assert annotations["argocd.argoproj.io/refresh"] == "normal"
    assert annotations["argocd.argoproj.io/sync-wave"] == "0"
    assert "operation" not in application()


@pytest.mark.parametrize(("failures", "reason"), [(0, "TriggerSuccess"), (3, "ValidationFailed")])
def test_it_reports_the_end(
    cluster: Cluster, newer: JobsOperator, application: Callable[[], Object], failures: int, reason: str
) -> None:
    """By one Event, and on the Application by counts in which the job has not ended yet."""
    newer.use(Run(failures=failures))
    asks = triggers(trigger(APPLICATION, cluster.namespace, "sync", "argocd"))
    body = job(namespace=cluster.namespace, annotations=asks)
    body["metadata"]["labels"] = {"app.kubernetes.io/part-of": cluster.namespace}
    cluster.create(body)

    ended(cluster)

    (event,) = (event for event in cluster.all(Kind("v1", "Event")) if event["involvedObject"]["name"] == "train")
    assert (event["reason"], event["source"]["component"]) == (reason, COMPONENT)
    annotations = annotations_of(application())
    assert annotations["mlops.dev/notebook-summary"] == "0/1 succeeded (0.0% success rate)"
    counts = json.loads(annotations["mlops.dev/notebook-status"])
    assert (counts["total"], counts["running"]) == (1, 1)


def test_a_kubelet_may_end_its_pods(control_plane: ControlPlane, cluster: Cluster, statuses: Statuses, kubelet: Kubelet) -> None:
    """Then the pod's own end is the job's, and says when the training ended."""
    kubelet.use(Behavior(load=0.1, runs=0.5), cluster.namespace, {"notebookvalidationjob": "train"})
    with JobsOperator(control_plane, cluster.namespace, ends_pods=False):
        cluster.create(job(namespace=cluster.namespace))
        done = ended(cluster)

    assert done["status"]["phase"] == "Succeeded"
    (container,) = cluster.get(POD, POD_NAME)["status"]["containerStatuses"]
    assert container["state"]["terminated"]["finishedAt"] <= done["status"]["completionTime"]
