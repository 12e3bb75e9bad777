"""The pack application-status."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Object
from tests.world import APPLICATION, DONE, JOB, World, job, named, shipped

PACK = "application-status"
HERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
ELSEWHERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "theirs"}}
PART_OF = "app.kubernetes.io/part-of"
STATUS, SUMMARY = "mlops.dev/notebook-status", "mlops.dev/notebook-summary"
STATE, FAILURE = "mlops.dev/notebook-state", "mlops.dev/failure-id"
NOTICE = "notice.argocd.argoproj.io/"


def application(name: str = "platform", namespace: str = "argocd", **fields: Any) -> Object:
    return named(APPLICATION, name, namespace, **{"spec": HERE, **fields})


def member(name: str, phase: str | None = "Succeeded", of: str = "platform", **fields: Any) -> Object:
    """A job of an Application, by its label."""
    obj = job(name, phase, **fields)
    obj["metadata"]["labels"] = {PART_OF: of}
    return obj


def tracked(name: str, owner: str, names: str | None = None, **fields: Any) -> Object:
    """A job with a tracking id that names it, or another one."""
    tracking_id = f"{owner}:mlops.mlops.dev/NotebookValidationJob:ns/{names or name}"
    return job(name, "Succeeded", {"argocd.argoproj.io/tracking-id": tracking_id}, **fields)


async def counted(*objects: Object, **params: Any) -> World:
    world = World(shipped(PACK), params={PACK: params})
    await world.create(*objects)
    await world.settle()
    return world


async def reported(world: World, name: str = "platform", namespace: str = "argocd") -> dict[str, str]:
    return await world.annotations(APPLICATION, name, namespace)


async def status(world: World, name: str = "platform", namespace: str = "argocd") -> Any:
    return json.loads((await reported(world, name, namespace))[STATUS])


async def test_the_status_is_the_decision_records() -> None:
    """30 of 32 succeeded: the very annotations of ADR-048, keys in its order, in one write."""
    jobs = [member(f"job-{n}") for n in range(30)]
    failed = [member(name, "Failed") for name in ("predictive-analytics-kserve-validation", "multi-cluster-healing-validation")]
    world = await counted(application(), *jobs, *failed)
    found = await reported(world)
    uids = [(await world.get(JOB, obj["metadata"]["name"]))["metadata"]["uid"] for obj in failed]
    assert found[STATUS] == (
        '{"total":32,"succeeded":30,"failed":2,"running":0,"lastUpdate":"2026-01-24T22:30:00Z",'
        '"failedJobs":["multi-cluster-healing-validation","predictive-analytics-kserve-validation"]}'
    )
    assert found[SUMMARY] == "30/32 succeeded (93.75% success rate)"
    assert found[STATE] == "Failed"
    assert found[FAILURE] == f"2026-01-24T22:30:00Z/{max(uids)}"
    assert world.writes == ["patch Application argocd/platform"]


@pytest.mark.parametrize(
    ("phases", "summary", "state", "running"),
    [
        (["Succeeded"], "1/1 succeeded (100.00% success rate)", "Succeeded", 0),
        (["Succeeded", "Succeeded", "Building"], "2/3 succeeded (66.67% success rate)", "Running", 1),
        ([None, "Pending"], "0/2 succeeded (0.00% success rate)", "Running", 2),
        (["Failed", "ValidationRunning"], "0/2 succeeded (0.00% success rate)", "Failed", 1),
        (["Succeeded"] * 1 + ["Running"] * 31, "1/32 succeeded (3.13% success rate)", "Running", 31),
        (["Succeeded"] + ["Running"] * 999, "1/1000 succeeded (0.10% success rate)", "Running", 999),
    ],
)
async def test_summary_and_state(phases: list[str | None], summary: str, state: str, running: int) -> None:
    """Counts, the rate with two decimals, and Failed before Running before Succeeded; a thousand jobs are one write."""
    world = await counted(application(), *(member(f"job-{n}", phase) for n, phase in enumerate(phases)))
    found = await reported(world)
    assert (found[SUMMARY], found[STATE], (await status(world))["running"]) == (summary, state, running)
    assert world.writes == ["patch Application argocd/platform"]


async def test_the_list_of_failed_jobs_is_capped_and_says_so() -> None:
    """50 names in order, and how many more there are."""
    found = await status(await counted(application(), *(member(f"job-{n:03}", "Failed") for n in range(60))))
    assert found["failedJobs"] == [f"job-{n:03}" for n in range(50)]
    assert found["failedJobsLeftOut"] == 10


async def test_only_an_applications_own_jobs_count() -> None:
    """Another Application's jobs in the same namespace are counted on that one."""
    world = await counted(
        application(), application("other"), member("one"), member("two", "Failed", "other"), job("three", "Failed")
    )
    assert (await reported(world))[SUMMARY] == "1/1 succeeded (100.00% success rate)"
    assert (await status(world, "other"))["failedJobs"] == ["two"]


@pytest.mark.parametrize(
    ("owner", "names", "label", "params", "where"),
    [
        ("platform", None, {}, {}, ("argocd", "platform")),
        ("team-a_platform", None, {}, {}, ("team-a", "platform")),
        ("other", None, {PART_OF: "platform"}, {}, ("argocd", "other")),
        ("other", "another-job", {PART_OF: "platform"}, {}, ("argocd", "platform")),
        ("a:other", None, {}, {}, None),
        ("Other", None, {}, {}, None),
        ("", None, {"app.kubernetes.io/instance": "platform"}, {}, None),
        ("", None, {"app.kubernetes.io/instance": "platform", PART_OF: "other"}, {"labelTracking": True}, ("argocd", "platform")),
        ("", None, {PART_OF: "platform"}, {"argocdNamespace": "gitops"}, ("gitops", "platform")),
    ],
)
async def test_whose_job_it_is(
    owner: str, names: str | None, label: Mapping[str, str], params: Mapping[str, Any], where: tuple[str, str] | None
) -> None:
    """The tracking id in both forms, unless it names another object; then the instance label, where asked for; then part-of."""
    places = [("argocd", "platform"), ("argocd", "other"), ("team-a", "platform"), ("gitops", "platform")]
    mine = tracked("train", owner, names)
    mine["metadata"]["labels"] = dict(label)
    world = await counted(*(application(name, namespace) for namespace, name in places), mine, **params)
    assert [place for place in places if await reported(world, place[1], place[0])] == ([where] if where else [])


async def test_a_missing_application_is_no_failure() -> None:
    """It is said once on each job that names it, when that has ended."""
    world = await counted(member("one"), member("two", "Building"), job("three", "Succeeded"))
    await world.settle(600, step=60)
    ((name, reason, message),) = await world.events()
    assert (name, reason) == ("one", "ApplicationNotFound")
    assert "argocd/platform" in message


async def test_jobs_that_an_application_does_not_know_do_not_count() -> None:
    """Whoever may label a job cannot write on somebody else's Application."""
    world = await counted(application(spec=ELSEWHERE), member("one", "Failed"))
    assert await reported(world) == {}


async def test_a_tracked_job_counts_where_argo_cd_lists_it() -> None:
    """An Application that deploys elsewhere takes the jobs that it has made itself."""
    mine = {"group": "mlops.mlops.dev", "kind": "NotebookValidationJob", "namespace": "ns", "name": "train"}
    world = await counted(application(spec=ELSEWHERE, status={"resources": [mine]}), tracked("train", "platform"))
    assert (await reported(world))[STATE] == "Succeeded"


async def test_an_application_without_a_destination_namespace_says_what_its_own_jobs_have_failed() -> None:
    """Its resources name their namespaces themselves: each failure has an id of its own."""
    ours = {"group": "mlops.mlops.dev", "kind": "NotebookValidationJob", "namespace": "ns", "name": "train"}
    anywhere = {"destination": {"server": "https://kubernetes.default.svc"}}
    failed = tracked("train", "platform")
    failed["status"]["phase"] = "Failed"
    world = await counted(application(spec=anywhere, status={"resources": [ours]}), failed)
    first = (await reported(world))[FAILURE]

    await world.delete(JOB, "train")
    await world.create(failed)
    await world.settle(120)

    assert first
    assert (await reported(world))[FAILURE] not in ("", first)
    assert (await reported(world))[STATE] == "Failed"


async def test_many_changes_are_at_most_one_write_a_minute_and_the_last_state_lands() -> None:
    """The first change at once, the rest together, a minute later."""
    world = await counted(application(), *(member(f"job-{n}", "Pending") for n in range(200)))
    before = len(world.writes)
    for number in range(200):
        await world.status(JOB, f"job-{number}", {"phase": "Succeeded", "completionTime": f"2026-01-24T22:{number % 60:02}:00Z"})
        if number % 20 == 0:
            await world.settle(1)
    assert world.writes[before:] == []
    await world.settle(60)
    assert len(world.writes[before:]) == 1
    assert (await reported(world))[SUMMARY] == "200/200 succeeded (100.00% success rate)"
    assert (await status(world))["lastUpdate"] == "2026-01-24T22:59:00Z"


async def test_nothing_is_written_where_nothing_has_changed() -> None:
    """Neither the recount of every five minutes nor a restart writes anything."""
    world = await counted(application(), member("one"), member("two", "Failed"))
    before = len(world.writes)
    await world.settle(1200, step=60)
    world.restart()
    await world.settle(1200, step=60)
    assert world.writes[before:] == []


async def test_what_somebody_else_removes_comes_back_with_the_recount() -> None:
    """Within five minutes, as when an ApplicationSet has stripped the annotations."""
    world = await counted(application(), member("one"))
    before = await reported(world)
    await world.patch(APPLICATION, "platform", {"metadata": {"annotations": {STATUS: None, SUMMARY: None}}}, "argocd")
    await world.settle(360, step=60)
    assert await reported(world) == before


@pytest.mark.parametrize("while_down", [False, True])
async def test_when_the_last_job_goes_the_annotations_go(while_down: bool) -> None:
    """Also where it goes while no engine runs; the record goes with them."""
    world = await counted(application(), member("one", "Failed"))
    await world.delete(JOB, "one")
    if while_down:
        await world.create(member("another", of="other"), application("other"))
        world.restart()
    await world.settle(60)
    assert (await world.get(APPLICATION, "platform", "argocd"))["metadata"].get("annotations", {}) == {}


async def test_a_job_that_moves_is_counted_where_it_is_now() -> None:
    """Both Applications are brought up to date."""
    world = await counted(application(), application("other"), member("one"), member("two"))
    await world.patch(JOB, "two", {"metadata": {"labels": {PART_OF: "other"}}})
    await world.settle(60)
    assert ((await status(world))["total"], (await status(world, "other"))["total"]) == (1, 1)


async def test_a_job_created_anew_under_the_same_name_counts_once_and_is_another_failure() -> None:
    """The new run has an id of its own, so that a notification for it is sent although the name is the same."""
    world = await counted(application(), member("one", "Failed"))
    first = (await reported(world))[FAILURE]
    await world.delete(JOB, "one")
    await world.create(member("one", "Failed"))
    await world.settle(60)
    assert (await status(world))["total"] == 1
    assert (await reported(world))[FAILURE] != first


async def test_a_phase_that_goes_backwards_takes_the_failure_back() -> None:
    """While the job runs again the Application is Running and has no failure id."""
    world = await counted(application(), member("one", "Failed"))
    await world.status(JOB, "one", {"phase": "ValidationRunning"})
    await world.settle(60)
    found = await reported(world)
    assert (found[STATE], FAILURE in found, (await status(world))["failedJobs"]) == ("Running", False, [])


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"phase": None},
        {"phase": 7},
        {"phase": ["Failed"]},
        "Failed",
        {"phase": "Odd", "startTime": 7, "completionTime": []},
    ],
)
async def test_odd_statuses_count_as_running(body: Any) -> None:
    """A job is counted whatever it looks like; its creation is the last update."""
    world = await counted(application(), {**member("one", None), "status": body})
    found = await status(world)
    assert (found["total"], found["running"], found["lastUpdate"]) == (1, 1, "2026-01-24T22:00:00Z")


async def test_the_banner_is_there_while_a_job_has_failed() -> None:
    """As a param; it goes when nothing has failed any more."""
    world = await counted(application(), member("one", "Failed"), member("two"), banner=True)
    found = await reported(world)
    assert found[f"{NOTICE}content"] == "Notebooks failed: one. 1 of 2 have succeeded."
    assert found[f"{NOTICE}severity"] == "warning"
    await world.status(JOB, "one", {"phase": "Succeeded"})
    await world.settle(60)
    assert [key for key in await reported(world) if key.startswith(NOTICE)] == []


async def test_somebody_elses_banner_stays() -> None:
    """It is neither replaced nor removed."""
    theirs = {f"{NOTICE}content": "Frozen until Monday"}
    app = application()
    app["metadata"]["annotations"] = dict(theirs)
    world = await counted(app, member("one", "Failed"), banner=True)
    found = await reported(world)
    assert {key: found[key] for key in found if key.startswith(NOTICE)} == theirs


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.OFF])
async def test_audit_and_off_write_nothing(mode: Mode) -> None:
    """Audit says what would be written."""
    pack = shipped(PACK)
    world = World(pack, modes={PACK: mode})
    await world.create(application(), member("one"))
    await world.settle(120, step=60)
    assert world.writes == []
    assert any("notebook-summary" in line for act in world.seen.acts for line in act.diff) == (mode is Mode.AUDIT)


async def played(fault: InjectedFault | None) -> tuple[Any, int]:
    world = World(shipped(PACK))
    await world.create(application(), member("one"), member("two", "Failed"))
    if fault is not None:
        world.engine.faults.add(fault)
    await world.settle(10)
    await world.status(JOB, "two", {"phase": "Succeeded"})
    await world.settle(120, step=10)
    return (await world.get(APPLICATION, "platform", "argocd"))["metadata"]["annotations"], world.crashes


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_any_call_neither_loses_nor_doubles(effect: Effect) -> None:
    """Whichever call the engine dies before or after, the last state lands."""
    expected, _ = await played(None)
    for call in itertools.count():
        found, crashes = await played(InjectedFault(effect, after=call))
        if not crashes:
            break
        assert found == expected, f"{effect} at call {call}"
    assert call > 3


def test_all_packs_ask_applications_for_the_same_consent() -> None:
    """What an Application has to say for a job to act on it is one and the same text."""
    packs = [shipped(name) for name in ("application-status", "failure-notifications", "on-success-triggers")]
    consents = [target.consent for pack in packs for target in pack.targets if target.kind == APPLICATION]
    assert len({consent if isinstance(consent, str) else consent.source for consent in consents}) == 1


async def test_an_engine_takes_back_only_what_it_watches() -> None:
    """One that watches other namespaces leaves a status whose jobs it cannot see; one that watches all takes it back."""
    world = await counted(application(), member("one"))
    await world.delete(JOB, "one")
    await world.create(member("elsewhere", of="other", namespace="theirs"))
    world.restart()
    world.caches.only = frozenset({"theirs"})
    await world.settle(600, step=60)
    assert SUMMARY in await reported(world)
    world.restart()
    await world.settle(10)
    assert SUMMARY not in await reported(world)


LAST, REPORTED = "mlops.dev/last-failure", "mlops.dev/failures-told"


async def ids(world: World, *names: str) -> list[str]:
    """The names of these jobs by the failure id that the Application has now."""
    found = (await reported(world)).get(FAILURE, "")
    uids = {name: (await world.get(JOB, name))["metadata"]["uid"] for name in names}
    return [name for name, uid in uids.items() if found.endswith(uid)]


async def test_two_failures_of_one_second_are_reported_one_after_the_other() -> None:
    """Each has an id of its own for some seconds, so that notifications that are sent once each are sent for both."""
    world = await counted(application(), member("one", "Building"), member("two", "Building"), member("three", "Building"))
    await world.settle(60)
    for name in ("one", "two"):
        await world.status(JOB, name, {"phase": "Failed", "completionTime": DONE})
    seen = []
    for _ in range(20):
        await world.settle(1)
        seen += [name for name in await ids(world, "one", "two", "three") if name not in seen]
    assert sorted(seen) == ["one", "two"]
    assert (await status(world))["failedJobs"] == ["one", "two"]


async def test_a_failure_and_the_end_of_a_run_do_not_wait_for_the_throttle() -> None:
    """State, status and summary are those of now a few seconds later, also where the creation has just been written."""
    world = await counted(application(), member("one", "Building"))
    for phase, summary in (("Succeeded", "1/1"), ("Failed", "0/1")):
        await world.status(JOB, "one", {"phase": phase})
        await world.settle(4)
        found = await reported(world)
        assert (found[STATE], found[SUMMARY].partition(" ")[0]) == (phase, summary)


async def test_a_failure_is_reported_although_its_job_was_replaced_at_once() -> None:
    """It stays while the next run goes on, and goes when that has succeeded."""
    world = await counted(application(), member("one", "Building"))
    await world.status(JOB, "one", {"phase": "Failed"})
    await world.settle(0)
    uid = (await world.get(JOB, "one"))["metadata"]["uid"]
    await world.delete(JOB, "one")
    await world.settle(0)
    await world.create(member("one", "Building"))
    await world.settle(300)
    found = await reported(world)
    assert (found[STATE], found[FAILURE].endswith(uid)) == ("Running", True)
    await world.status(JOB, "one", {"phase": "Succeeded"})
    await world.settle(60)
    assert not {FAILURE, LAST} & (await reported(world)).keys()


async def test_a_failure_is_reported_although_its_job_went_at_once() -> None:
    """Argo CD's HookFailed deletes it; a minute later nothing is left."""
    world = await counted(application(), member("one", "Building"))
    await world.status(JOB, "one", {"phase": "Failed"})
    await world.settle(0)
    await world.delete(JOB, "one")
    await world.settle(5)
    assert json.loads((await reported(world))[LAST])["job"] == "one"
    await world.settle(180)
    assert await reported(world) == {}


async def test_neither_a_restart_nor_an_older_failure_brings_an_id_back() -> None:
    """The one that is reported stays, whatever restarts and whichever other failures go."""
    world = await counted(application(), member("one", "Failed", completed="2026-01-24T20:00:00Z"))
    await world.create(member("two", "Failed"))
    await world.settle(10)
    before = (await reported(world))[FAILURE]
    world.restart()
    await world.settle(120)
    await world.delete(JOB, "two")
    await world.settle(120)
    assert (await reported(world))[FAILURE] == before


@pytest.mark.parametrize("key", [STATUS, SUMMARY, STATE, FAILURE, REPORTED, LAST])
async def test_a_single_annotation_that_somebody_removes_repeats_no_failure(key: str) -> None:
    """It comes back; the id is the one that was reported."""
    world = await counted(application(), member("one", "Failed", completed="2026-01-24T20:00:00Z"), member("two", "Failed"))
    await world.settle(60)
    before = await reported(world)
    await world.patch(APPLICATION, "platform", {"metadata": {"annotations": {key: None}}}, "argocd")
    await world.settle(600)
    after = await reported(world)
    assert {**after, LAST: before[LAST]} == before
    assert key == LAST or after == before


async def test_what_argo_cd_tries_again_is_one_failure_with_a_count() -> None:
    """A job that an operation makes anew each time fails each time: the id stays, the count goes up."""
    operation = {"phase": "Running", "startedAt": "2026-01-24T22:00:00Z"}
    world = await counted(application(status={"operationState": operation}), member("one", "Failed"))
    await world.settle(60)
    first = await reported(world)
    for attempts in (2, 3):
        await world.delete(JOB, "one")
        await world.create(member("one", "Failed"))
        await world.settle(60)
        found = await reported(world)
        assert (found[FAILURE], json.loads(found[LAST])["attempts"]) == (first[FAILURE], attempts)
    later = {**operation, "startedAt": "2026-01-24T22:10:00Z"}
    await world.patch(APPLICATION, "platform", {"status": {"operationState": later}}, "argocd")
    await world.settle(600)
    await world.delete(JOB, "one")
    await world.create(member("one", "Failed"))
    await world.settle(60)
    found = await reported(world)
    assert (found[FAILURE] == first[FAILURE], json.loads(found[LAST])["attempts"]) == (False, 1)


async def test_the_application_says_why_a_job_has_failed_and_what_to_do() -> None:
    """What failure-notifications puts on the job, in the same write as the id."""
    packs = [shipped(name) for name in (PACK, "failure-notifications")]
    world = World(*packs)
    await world.create(application(), member("one", "Failed", message='MemoryError: "\\'))
    await world.settle(10)
    found = json.loads((await reported(world))[LAST])
    assert (found["job"], found["namespace"], found["reason"]) == ("one", "ns", 'MemoryError: "\\')
    assert found["advice"].startswith("Raise the memory limit")


async def test_a_foreign_job_neither_hides_the_others_of_its_namespace_nor_joins_them() -> None:
    """Each job is asked by itself: one that only claims to belong there does not count, and those that do count all the same."""
    listed = [{"group": "mlops.mlops.dev", "kind": "NotebookValidationJob", "namespace": "ns", "name": name} for name in "bc"]
    world = await counted(
        application(spec=ELSEWHERE, status={"resources": listed}),
        *(tracked(name, "platform") for name in "abcd"),
        member("label", "Failed"),
    )
    assert (await reported(world))[SUMMARY] == "2/2 succeeded (100.00% success rate)"
