"""The pack failure-notifications."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Object
from tests.world import APPLICATION, DONE, EVENT, JOB, World, job, named, pulled, shipped

PACK = "failure-notifications"
HERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
TRACKED = "argocd.argoproj.io/tracking-id"
NAME = "predictive-analytics-kserve-validation"
ERROR = "ModuleNotFoundError: No module named 'kserve_wrapper'"
ADR = """\
NotebookValidationJob 'predictive-analytics-kserve-validation' failed:
ModuleNotFoundError: No module named 'kserve_wrapper'

Retry count: 3/3 (exhausted)
Duration: 41 seconds
Phase: Failed

Suggested action: Check notebook cell execution for model serialization issues
Logs: kubectl logs -n ns predictive-analytics-kserve-validation-pod"""


def failed(name: str = "train", labels: Mapping[str, str] | None = None, **fields: Any) -> Object:
    """A failed job."""
    obj = job(name, "Failed", **fields)
    obj["metadata"]["labels"] = dict(labels or {})
    return obj


def cell(status: str, error: Any = None) -> Mapping[str, Any]:
    return {"cellIndex": 1, "status": status, **({} if error is None else {"errorMessage": error})}


def tracking_id(app: str, name: str = "train", namespace: str = "ns") -> dict[str, str]:
    return {TRACKED: f"{app}:mlops.mlops.dev/NotebookValidationJob:{namespace}/{name}"}


async def evaluated(*objects: Object, **params: Any) -> World:
    world = World(shipped(PACK), params={PACK: params})
    await world.create(*objects)
    await world.settle()
    return world


async def lines(world: World) -> list[str]:
    ((_, _, message),) = await world.events()
    return message.split("\n")


async def regarded(world: World) -> list[str]:
    """Kind, namespace and name of what each Event is about."""
    about = [event["involvedObject"] for event in await world.all(EVENT)]
    return sorted(f"{found['kind']} {found['namespace']}/{found['name']}" for found in about)


async def test_the_message_is_the_decision_records() -> None:
    """The first failing cell's error, retries, duration, phase, advice and the command for the log, as in ADR-048."""
    world = await evaluated(
        failed(NAME, results=[cell("Success"), cell("Failure", ERROR), cell("Failure", "later")], retryCount=3,
               startTime="2026-01-24T22:29:19Z", validationPodName=f"{NAME}-pod", message="1 cell failed")
    )  # fmt: skip
    assert await world.events() == [(NAME, "ValidationFailed", ADR)]


async def test_the_event_is_a_warning_that_carries_uid_and_labels() -> None:
    """It has the job's uid, its part-of label, and says of which type it is."""
    world = await evaluated(failed(labels={"app.kubernetes.io/part-of": "platform"}))
    (event,) = await world.all(EVENT)
    assert event["type"] == "Warning"
    assert event["metadata"]["namespace"] == "ns"
    assert event["involvedObject"]["uid"] == (await world.get(JOB, "train"))["metadata"]["uid"]
    assert event["metadata"]["labels"] == {
        "app.kubernetes.io/part-of": "platform",
        "mlops.dev/notification-type": "validation-failure",
    }


async def test_a_job_without_the_part_of_label_has_an_event_without_it() -> None:
    """The label is left out, not empty."""
    world = await evaluated(failed())
    (event,) = await world.all(EVENT)
    assert event["metadata"]["labels"] == {"mlops.dev/notification-type": "validation-failure"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ({"message": "image not found"}, "image not found"),
        ({}, "Notebook validation failed"),
        ({"message": ""}, "Notebook validation failed"),
        ({"results": [cell("Failure")], "message": "stopped"}, "stopped"),
        ({"results": [cell("Failure", ""), cell("Failure", "boom")]}, "boom"),
        ({"results": [cell("Skipped", "no")], "message": "stopped"}, "stopped"),
    ],
)
async def test_what_is_reported_as_the_error(status: Mapping[str, Any], error: str) -> None:
    """The first error of a failed cell, else the job's message, else that it has failed."""
    assert (await lines(await evaluated(failed(**status))))[1] == error


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, "final at the first attempt"),
        (2, "final at the second attempt"),
        (3, "3/3 (exhausted)"),
        (4, "4/3 (exhausted)"),
        (None, "final at the first attempt"),
        ("3", "final at the first attempt"),
        ([], "final at the first attempt"),
    ],
)
async def test_retries(count: Any, line: str) -> None:
    """The count of three where it is used up; a failure that is not tried again promises no more attempts."""
    assert f"Retry count: {line}" in await lines(await evaluated(failed(retryCount=count)))


@pytest.mark.parametrize(
    ("start", "end", "line"),
    [
        ("2026-01-24T22:29:19Z", DONE, "Duration: 41 seconds"),
        ("2026-01-24T21:28:00Z", DONE, "Duration: 1 hour 2 minutes"),
        ("2026-01-24T23:29:00+01:00", DONE, "Duration: 1 minute"),
        (None, DONE, None),
        ("2026-01-24T22:29:19Z", None, None),
        ("2026-01-24T23:00:00Z", DONE, None),
        ("yesterday", DONE, None),
        ("2026-13-24T22:29:19Z", DONE, None),
        (7, DONE, None),
    ],
)
async def test_the_duration_is_left_out_where_it_is_not_known(start: Any, end: str | None, line: str | None) -> None:
    """From start to completion, in words."""
    reported = [
        each for each in await lines(await evaluated(failed(startTime=start, completed=end))) if each.startswith("Duration")
    ]
    assert reported == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("status", "log"),
    [
        ({}, "none, since no pod was started"),
        ({"message": 'Failed to create validation pod: secret "git" not found'}, "none, since no pod was started"),
        ({"retryCount": 1}, "kubectl logs -n ns train-validation"),
        ({"results": [cell("Failure", "boom")]}, "kubectl logs -n ns train-validation"),
        ({"validationPodName": "p"}, "kubectl logs -n ns p"),
        (
            {"validationPodName": "p", "message": "Validation pod failed: git-clone - fatal. Suggested action: x"},
            "kubectl logs -n ns p -c git-clone",
        ),
        (
            {"validationPodName": "p", "message": "Git-clone init container failed with permission denied."},
            "kubectl logs -n ns p -c git-clone",
        ),
        ({"buildStatus": {"phase": "Failed", "buildName": "train-build", "message": "no"}}, "those of the build train-build"),
    ],
)
async def test_the_log_command_is_that_of_the_container_that_failed(status: Mapping[str, Any], log: str) -> None:
    """With its container where the error names it; none where no pod ever was."""
    assert (await lines(await evaluated(failed(**status))))[-1] == f"Logs: {log}"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("ModuleNotFoundError: No module named 'pandas'", "Add the missing module to the notebook's image or requirements"),
        ("MemoryError", "Raise the memory limit in spec.podConfig.resources, or load less data at once"),
        ("ZeroDivisionError: division by zero", "Read the log, and run the failing cell by hand"),
        ("Build failed: no such strategy", "Check spec.podConfig.buildConfig, and read the log of the build"),
        (
            'Failed to create validation pod: failed to resolve Git credentials: secret "git" not found',
            "Create the Secret that credentialsSecret names in the job's namespace, or correct its name",
        ),
        (
            "Validation pod failed: validator - . Suggested action: Pod cannot be scheduled. Check resource requests.",
            "Ask for less in spec.podConfig.resources, or add nodes that have what it asks for",
        ),
        (
            "Validation pod failed: git-clone - Authentication failed. Suggested action: Git authentication failed.",
            "Check spec.notebook.git, and that the Secret which credentialsSecret names holds credentials that are valid",
        ),
        (
            "Validation pod failed: validator - . Suggested action: Container crashing repeatedly. Check logs and dependencies.",
            "Read the end of the container's log, and run its image by hand",
        ),
        (
            "Validation pod failed: validator - runc: x. Suggested action: Container configuration error. Check volume mounts.",
            "Check that the ConfigMaps, Secrets and volumes which spec.podConfig names exist",
        ),
        (
            "pods is forbidden: exceeded quota: full",
            "Raise the ResourceQuota of the job's namespace, or ask for less in spec.podConfig.resources",
        ),
    ],
)
async def test_advice_fits_the_error(error: str, advice: str) -> None:
    """The first pattern that is found in the error says what to do."""
    assert f"Suggested action: {advice}" in await lines(await evaluated(failed(message=error)))


#: An error for each kind of them that has an advice of its own, in the order of the param.
KINDS = (
    "cannot pickle the model", "No module named 'pandas'", 'failed to resolve Git credentials: secret "git" not found',
    "OOMKilled", "No space left on device", "ImagePullBackOff", "exceeded quota: full", "0/3 nodes are available",
    "container has runAsNonRoot", "papermill: command not found", "could not read from the repository",
    "FileNotFoundError: data.csv", "Permission denied: /data",
    "CreateContainerConfigError", "Connection refused", "cell timed out", "no such build strategy", "admission denied it",
    "golden notebook differs", "the prediction is wrong", "CrashLoopBackOff",
)  # fmt: skip


async def test_each_kind_of_error_has_an_advice_of_its_own() -> None:
    """Each entry of the param is reached: none before it takes its errors, and none gives the advice for everything."""
    pack = shipped(PACK)
    expected = [entry["advice"] for entry in pack.params["advice"].default]
    reported = [await lines(await evaluated(failed(message=error))) for error in KINDS]
    assert [next(line for line in each if line.startswith("Suggested action: ")) for each in reported] == [
        f"Suggested action: {advice}" for advice in expected
    ]


GIT = "Check spec.notebook.git, and that the Secret which credentialsSecret names holds credentials that are valid"
IMAGE = "Check spec.podConfig.containerImage and the pull secret of its registry"
CRASH = "Read the end of the container's log, and run its image by hand"
USER = "Use an image that runs as any user, or have one built by spec.podConfig.buildConfig"
CONFIG = "Check that the ConfigMaps, Secrets and volumes which spec.podConfig names exist"
PROGRAM = "Use an image that has the program which is missing, such as git or papermill"
MEMORY = "Raise the memory limit in spec.podConfig.resources, or load less data at once"
ROOM = "Ask for less in spec.podConfig.resources, or add nodes that have what it asks for"
VOLUME = "Check the volume's permissions and the security context of spec.podConfig"
#: What the jobs' operator says of each way in which a pod can fail that it knows (its pod_failure_analyzer.go): the container,
#: what that said, what the operator suggests, in short, and the advice that it should get. What containers say may be nothing.
FAILURES = {
    "no reason": ("notebook", "", "Pod failed for unknown reason", "Pod failed for unknown reason"),
    "unschedulable": ("notebook", "", "Pod cannot be scheduled", ROOM),
    "unschedulable, told": (
        "notebook",
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        "Pod cannot be scheduled",
        ROOM,
    ),
    "git, credentials": ("git-clone", "fatal: Authentication failed for 'https://x'", "Git authentication failed", GIT),
    "git, key": ("git-clone", "x: Permission denied (publickey). fatal: Could not read", "Git authentication failed", GIT),
    "git, no repository": ("git-clone", "ERROR: Repository not found.", "Git repository not found", GIT),
    "git, code 128": ("git-clone", "", "Git-clone init container failed (exit code 128)", GIT),
    "git, code 2": ("git-clone", "x", "Git-clone init container failed (exit code 2)", GIT),
    "git, says nothing": ("git-clone", "", "", GIT),
    "init, denied": ("git-clone", "", "Git-clone init container failed with permission denied. An OpenShift SCC issue", USER),
    "init, denied, told": (
        "git-clone",
        "mkdir: Permission denied",
        "Git-clone init container failed with permission denied",
        VOLUME,
    ),
    "init, no command": ("git-clone", "", "Required command not found in init container. The git-clone image lacks it", PROGRAM),
    "init, no command, told": ("git-clone", "sh: git: command not found", "", PROGRAM),
    "init, memory": ("git-clone", "", "Init container killed due to out of memory", MEMORY),
    "init, code": ("git-clone", "", "Init container failed with exit code 1", CRASH),
    "init, pull": ("git-clone", "", "Image pull failed for init container", IMAGE),
    "init, pull error": ("git-clone", "", "Image pull error for init container", IMAGE),
    "init, crashes": ("git-clone", "back-off 5m0s restarting failed container", "Init container crashing repeatedly", CRASH),
    "init, user": ("git-clone", "", "OpenShift SCC violation in init container. The git-clone container cannot run", USER),
    "init, run": ("git-clone", "", "Init container failed to run", CONFIG),
    "init, configuration": ("git-clone", 'configmap "x" not found', "Init container configuration error", CONFIG),
    "denied": ("notebook", "", "Container failed with permission denied", VOLUME),
    "denied, told": (
        "notebook",
        "PermissionError: [Errno 13]",
        "Container failed with permission denied. SCC constraint",
        VOLUME,
    ),
    "no command": ("notebook", "", "Required command not found in container", PROGRAM),
    "memory": ("notebook", "", "Container killed due to out of memory", MEMORY),
    "code": ("notebook", "", "Container failed with exit code 1", CRASH),
    "pull": ("notebook", "", "Image pull failed. Check image registry", IMAGE),
    "pull error": ("notebook", "", "Image pull error. Verify image exists", IMAGE),
    "crashes": ("notebook", "", "Container crashing repeatedly", CRASH),
    "user": ("notebook", "", "OpenShift Security Context Constraint (SCC) violation", USER),
    "run": ("notebook", "", "Container failed to run", CONFIG),
    "configuration": ("notebook", 'secret "x" not found', "Container configuration error", CONFIG),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_each_failure_that_the_jobs_operator_knows_has_its_advice(case: str) -> None:
    """By what the container said, else by what the operator suggests, else by the container."""
    container, said, suggestion, advice = FAILURES[case]
    message = f"Validation pod failed: {container} - {said}" + (f". Suggested action: {suggestion}" if suggestion else "")
    assert f"Suggested action: {advice}" in await lines(await evaluated(failed(message=message)))


async def test_own_advice_comes_first() -> None:
    """What a cluster adds is tried before what the pack knows, and the pack's stays."""
    mine = [{"pattern": "No module named 'pandas'", "advice": "Use the image with pandas"}]
    world = await evaluated(
        failed("one", message="No module named 'pandas'"), failed("two", message="MemoryError"), moreAdvice=mine
    )
    reported = [line for _, _, message in await world.events() for line in message.split("\n") if line.startswith("Suggested")]
    assert reported == [
        "Suggested action: Use the image with pandas",
        "Suggested action: Raise the memory limit in spec.podConfig.resources, or load less data at once",
    ]


async def test_what_the_operator_suggests_is_reported() -> None:
    """Its first paragraph, beside the advice that the error has; it is the advice where no entry knows the error."""
    suggestion = "Consider another base image.\n\nQuick fix:\n  spec: {}"
    both, alone = [
        await lines(await evaluated(failed(message=f"{error}. Suggested action: {suggestion}")))
        for error in ("MemoryError", "Odd")
    ]
    assert both[1] == "MemoryError."
    assert both[-3:-1] == [
        "Suggested action: Raise the memory limit in spec.podConfig.resources, or load less data at once",
        "Its operator suggests: Consider another base image.",
    ]
    assert alone[-2] == "Suggested action: Consider another base image."


async def test_a_build_that_fails_in_two_writes_is_reported_once_with_its_reason() -> None:
    """Failed without a time comes first, and its message afterwards says nothing."""
    build = {"phase": "Failed", "message": "Build failed: no such strategy"}
    world = await evaluated(failed(completed=None, buildStatus=build))
    await world.status(JOB, "train", {"message": "Unknown phase: Failed", "completionTime": DONE, "retryCount": 1})
    await world.settle(120)
    assert (await lines(world))[1] == "Build failed: no such strategy"


@pytest.mark.parametrize("size", [78_868, 1_000_000])
async def test_an_error_of_any_length_is_reported_with_its_last_line(size: int) -> None:
    """Patterns run over its two ends only; the last line of a traceback says what it is about."""
    trace = "Traceback (most recent call last):\n" + "  frame\n" * (size // 8) + "MemoryError: of the model"
    reported = await lines(await evaluated(failed(message=trace, validationPodName="p")))
    assert reported[1] == "Traceback (most recent call last):"
    assert "MemoryError: of the model" in reported
    assert any(line.startswith("Suggested action: Raise the memory limit") for line in reported)
    assert len("\n".join(reported)) <= 1024


async def test_the_job_says_why_it_has_failed_and_what_to_do() -> None:
    """Annotations of the job hold it for others."""
    world = await evaluated(failed(message="MemoryError", validationPodName="p"))
    annotations = (await world.get(JOB, "train"))["metadata"]["annotations"]
    found = {key.removeprefix("mlops.dev/failure-"): value for key, value in annotations.items() if key.startswith("mlops.dev/")}
    assert found == {
        "reason": "MemoryError",
        "advice": "Raise the memory limit in spec.podConfig.resources, or load less data at once",
        "logs": "kubectl logs -n ns p",
    }


async def test_what_failed_long_before_the_pack_came_is_not_reported() -> None:
    """Installing it reports the failures of the last hour: by the later of completion and creation."""
    world = World(shipped(PACK), modes={PACK: Mode.OFF})
    await world.create(failed("old"), failed("new", completed="2026-01-24T23:59:00Z"))
    await world.settle(7200, step=600)
    await world.create(failed("odd", completed="2026-01-24T20:00:00Z"))
    world.use(shipped(PACK))
    await world.settle()
    assert sorted(name for name, _, _ in await world.events()) == ["new", "odd"]


@pytest.mark.parametrize("size", [0, 600, 5000])
async def test_a_long_error_is_cut_and_nothing_else(size: int) -> None:
    """The message has at most 1024 characters, and the last lines are whole."""
    name = ("train-" * 42)[:200].rstrip("-")
    reported = "\n".join(await lines(await evaluated(failed(name, message="E" * size, validationPodName=name))))
    assert len(reported) <= 1024
    assert reported.endswith(f"\nLogs: kubectl logs -n ns {name}")
    assert ("…" in reported) == (size > 400)


async def test_each_run_is_reported_once() -> None:
    """Neither a restart nor a change of the job reports it again: a new run is a new object."""
    world = await evaluated(failed())
    before = len(world.writes)
    world.restart()
    await world.patch(JOB, "train", {"metadata": {"annotations": {"note": "x"}}})
    await world.settle(60)
    assert world.writes[before:] == []
    await world.status(JOB, "train", {"phase": "ValidationRunning"})
    await world.settle()
    await world.status(JOB, "train", {"phase": "Failed", "completionTime": "2026-01-24T23:00:00Z"})
    await world.settle()
    assert len(await world.events()) == 1


async def test_a_job_created_anew_under_the_same_name_is_reported_anew() -> None:
    """Another uid is another run, also where it ends at the same time."""
    world = await evaluated(failed())
    await world.delete(JOB, "train")
    await world.create(failed())
    await world.settle()
    assert len(await world.events()) == 2


@pytest.mark.parametrize("phase", ["Succeeded", "ValidationRunning", "Pending", None])
async def test_other_phases_are_no_failure(phase: str | None) -> None:
    """Only Failed is reported."""
    assert await (await evaluated(job(phase=phase))).events() == []


@pytest.mark.parametrize("status", [None, {}, {"phase": None}, {"phase": ["Failed"]}, "Failed"])
async def test_odd_statuses_are_no_failure(status: Any) -> None:
    """A missing, null or wrongly typed phase reports nothing."""
    assert await (await evaluated({**job(), "status": status})).events() == []


@pytest.mark.parametrize(
    "status", [{"results": None}, {"results": "x"}, {"results": [None, 3, "x"]}, {"message": 7}, {"completionTime": 7}]
)
async def test_odd_fields_of_a_failed_job_do_not_hide_the_failure(status: Mapping[str, Any]) -> None:
    """What cannot be read is left out of the message."""
    world = await evaluated({**job(), "status": {"phase": "Failed", **status}})
    assert (await lines(world))[1] == "Notebook validation failed"


@pytest.mark.parametrize(
    ("annotations", "labels", "params", "application"),
    [
        (tracking_id("mine"), {}, {}, ("argocd", "mine")),
        (tracking_id("team-a_mine"), {}, {}, ("team-a", "mine")),
        ({}, {"app.kubernetes.io/part-of": "mine"}, {}, ("argocd", "mine")),
        ({}, {"app.kubernetes.io/part-of": "mine"}, {"argocdNamespace": "gitops"}, ("gitops", "mine")),
        (tracking_id("mine"), {"app.kubernetes.io/part-of": "other"}, {}, ("argocd", "mine")),
        ({}, {"app.kubernetes.io/instance": "mine"}, {"labelTracking": True}, ("argocd", "mine")),
    ],
)
async def test_the_application_gets_an_event_too(
    annotations: dict[str, str], labels: dict[str, str], params: dict[str, Any], application: tuple[str, str]
) -> None:
    """The Application that the tracking id names, or else a label, gets the same Event, with its uid."""
    namespace, name = application
    world = await evaluated(
        named(APPLICATION, name, namespace, spec=HERE), failed(annotations=annotations, labels=labels), **params
    )
    assert await regarded(world) == [f"Application {namespace}/{name}", "NotebookValidationJob ns/train"]
    first, second = await world.all(EVENT)
    assert first["message"] == second["message"]
    uids = {event["involvedObject"]["uid"] for event in (first, second)}
    assert (await world.get(APPLICATION, name, namespace))["metadata"]["uid"] in uids


@pytest.mark.parametrize(
    ("annotations", "labels"),
    [
        ({}, {}),
        ({}, {"app.kubernetes.io/part-of": "missing"}),
        ({}, {"app.kubernetes.io/part-of": "No_Name"}),
        ({}, {"app.kubernetes.io/instance": "mine"}),
        (tracking_id("mine", "another"), {}),
        (tracking_id("mine", namespace="theirs"), {}),
        (tracking_id(""), {}),
        (tracking_id("a:mine"), {}),
        ({TRACKED: "mine"}, {}),
        ({TRACKED: "mine:apps/Deployment:ns/train"}, {}),
    ],
)
async def test_without_an_application_only_the_job_gets_an_event(annotations: dict[str, str], labels: dict[str, str]) -> None:
    """No Application, a missing one, or an id that names another object: no failure either."""
    world = await evaluated(named(APPLICATION, "mine", "argocd", spec=HERE), failed(annotations=annotations, labels=labels))
    assert await regarded(world) == ["NotebookValidationJob ns/train"]


async def test_an_application_that_does_not_consent_gets_no_event() -> None:
    """Who can write a label on a job cannot write Events about somebody else's Application; an Event of the job says why."""
    elsewhere = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "theirs"}}
    world = await evaluated(
        named(APPLICATION, "mine", "argocd", spec=elsewhere), failed(labels={"app.kubernetes.io/part-of": "mine"})
    )
    assert set(await regarded(world)) == {"NotebookValidationJob ns/train"}
    assert sorted(event["reason"] for event in await world.all(EVENT)) == ["LookupRefused", "ValidationFailed"]


async def test_a_job_that_has_not_failed_costs_no_request() -> None:
    """Applications are looked up for failed jobs only."""
    world = await evaluated(job(phase="Succeeded", annotations=tracking_id("mine")))
    assert [str(call) for call in world.engine.calls if "Application" in str(call)] == []


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.OFF])
async def test_audit_and_off_write_nothing(mode: Mode) -> None:
    """Neither the job nor the Application gets an Event."""
    pack = shipped(PACK)
    world = World(pack, modes={PACK: mode})
    await world.create(named(APPLICATION, "mine", "argocd", spec=HERE), failed(labels={"app.kubernetes.io/part-of": "mine"}))
    await world.settle()
    assert world.writes == []
    assert bool(world.seen.acts) == (mode is Mode.AUDIT)


async def played(fault: InjectedFault | None) -> tuple[Any, int]:
    world = World(shipped(PACK))
    await world.create(named(APPLICATION, "mine", "argocd", spec=HERE), failed(labels={"app.kubernetes.io/part-of": "mine"}))
    if fault is not None:
        world.engine.faults.add(fault)
    await world.settle(30)
    records = [key for key in (await world.get(JOB, "train"))["metadata"]["annotations"] if key.startswith("fired.")]
    return (await world.events(), sorted(records)), world.crashes


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_any_call_neither_loses_nor_doubles(effect: Effect) -> None:
    """Whichever call the engine dies before or after: one Event each, and the records."""
    expected, _ = await played(None)
    assert len(expected[0]) == 2
    for call in itertools.count():
        found, crashes = await played(InjectedFault(effect, after=call))
        if not crashes:
            break
        assert found == expected, f"{effect} at call {call}"
    assert call > 3


@pytest.mark.parametrize("reported", [True, False])
async def test_a_failure_is_reported_once_among_any_number_of_events(*, reported: bool) -> None:
    """By the jobs' own operator, or where that has not done so."""
    world = World(shipped(PACK))
    await world.create(job(phase="ValidationRunning"), *(pulled(number) for number in range(9000)))
    about = {"kind": JOB.kind, "namespace": "ns", "name": "train", "uid": (await world.get(JOB, "train"))["metadata"]["uid"]}
    source = {"component": "notebookvalidationjob-controller"}
    if reported:
        await world.create(named(EVENT, "theirs", reason="ValidationFailed", message="x", involvedObject=about, source=source))

    await world.status(JOB, "train", {"phase": "Failed", "completionTime": DONE})
    await world.settle()

    events = [event["source"]["component"] for event in await world.all(EVENT) if event["reason"] == "ValidationFailed"]
    assert events == [source["component"] if reported else "rulepack"]
