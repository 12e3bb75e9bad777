"""Explaining what packs make of an object: what it reads, and that it writes nothing."""

from __future__ import annotations

from pathlib import Path

from click import unstyle

from engine.cel import backend
from engine.cli.explained import as_text
from engine.model.flags import Mode
from engine.model.observe import ActResult, Evaluated
from engine.packs.parse import parse_pack
from engine.testing.explain import RuleExplanation, explain
from tests.world import APPLICATION, DEPLOYMENT, DONE, JOB, SERVICE, World, job, named, shipped, trigger, triggers

HERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}


async def reported(world: World) -> dict[str, RuleExplanation]:
    """What is said of the job `train`, by rule; nothing but reads reaches the cluster."""
    before = len(world.cluster.calls)
    obj = await world.get(JOB, "train")
    explanation = await explain(world.cluster, world.clock, world.catalog, obj)
    assert {call.verb for call in world.cluster.calls[before:]} <= {"discover", "get", "list"}
    return {rule.name: rule for pack in explanation.packs for rule in pack.rules}


async def test_steps_come_with_their_differences_and_nothing_is_written() -> None:
    """Patches, evictions and Events are worked out from what is read."""
    pack = shipped("on-success-triggers")
    world = World(pack)
    entries = (trigger(SERVICE, "model", "restart"), trigger(DEPLOYMENT, "web", "restart"))
    await world.create(named(SERVICE, "model", spec={"predictor": {}}), named(DEPLOYMENT, "web", spec={"template": {}}))
    await world.create(job(annotations=triggers(*entries)))
    await world.clock.advance(1860)
    await world.status(JOB, "train", {"phase": "Succeeded", "completionTime": DONE})
    restart = (await reported(world))["restart"]
    assert restart.result is Evaluated.FIRED
    assert [act.action for act in restart.acts] == ["wait", "patch", "emitEvent", "emitEvent"] * 2
    assert {act.result for act in restart.acts if act.action != "wait"} == {ActResult.AUDITED}
    assert any("restarted-at" in line for act in restart.acts for line in act.diff)
    assert any("restartedAt" in line for act in restart.acts for line in act.diff)


async def test_consent_by_review_is_taken_for_granted_and_said() -> None:
    """Asking would be a create, which explaining does not need the right to; what would be asked is reported."""
    world = World(shipped("on-success-triggers"))
    await world.create(named(DEPLOYMENT, "web", "theirs", spec={"template": {}}))
    await world.create(job(annotations=triggers(trigger(DEPLOYMENT, "web", "restart", "theirs"))))
    await world.clock.advance(1860)
    await world.status(JOB, "train", {"phase": "Succeeded", "completionTime": DONE})
    explanation = await explain(world.cluster, world.clock, world.catalog, await world.get(JOB, "train"))
    assert "system:serviceaccount:ns:default may patch deployments theirs/web" in map(str, explanation.assumed)


async def test_groups_count_all_their_members() -> None:
    """What an aggregate would write is what it counts with every object of the kind, not this one alone."""
    world = World(shipped("application-status"))
    await world.create(named(APPLICATION, "platform", "argocd", spec=HERE))
    for name, phase in (("train", "Succeeded"), ("other", "Failed")):
        obj = job(name, phase)
        obj["metadata"]["labels"] = {"app.kubernetes.io/part-of": "platform"}
        await world.create(obj)
    publish = (await reported(world))["publish"]
    assert publish.result is Evaluated.FIRED
    assert any("1/2 succeeded" in line for act in publish.acts for line in act.diff)


async def test_conditions_come_with_the_values_that_they_read() -> None:
    """Also those of lookups and vars, and what has no answer says why."""
    world = World(shipped("failure-notifications"))
    await world.create(job(phase="Failed"))
    rule = (await reported(world))["report-failure-on-application"]
    assert [clause.holds for clause in rule.clauses] == [True, False, None]
    values = {value.path: value for clause in rule.clauses for value in clause.values}
    assert values["object.status.phase"].value == "Failed"
    assert values["vars.application"].value == ""
    assert not values["lookup.application"].there


async def test_a_selector_that_does_not_pick_the_object_ends_it(tmp_path: Path) -> None:
    """No rule is evaluated of an object that the pack does not watch."""
    text = (
        "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: picky}\nspec:\n"
        "  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob, labelSelector: team=a}\n"
        "  rules: [{name: mark, actions: [{annotate: {annotations: {a: b}}}]}]\n"
    )
    world = World(*parse_pack(text, "pack.yaml", backend()))
    await world.create(job())
    (pack,) = (await explain(world.cluster, world.clock, world.catalog, await world.get(JOB, "train"))).packs
    assert (pack.picked, pack.rules) == (False, ())


async def test_a_mode_that_is_off_still_shows_what_would_be_done() -> None:
    """The first thing that holds the rule back is its mode."""
    pack = shipped("sync-waves")
    world = World(pack, modes={pack.name: Mode.OFF})
    await world.create(job(phase="Succeeded", annotations={"argocd.argoproj.io/sync-wave": "3"}))
    rule = (await reported(world))["wave-complete"]
    assert (rule.skipped, rule.mode) == ("its mode is Disabled", Mode.OFF)
    assert rule.acts != ()


async def test_what_was_so_before_a_rule_came_into_force_is_explained_as_the_engine_has_it() -> None:
    """The same reason, with the time; of a later object the rule fires."""
    text = (
        "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: p}\nspec:\n"
        "  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}\n"
        "  rules: [{name: r, oncePer: object.metadata.uid, existing: Ignore, actions: [{annotate: {annotations: {a: b}}}]}]\n"
    )
    world = World()
    await world.create(job())
    await world.clock.advance(3600)
    world.use(*parse_pack(text, "pack.yaml", backend()))
    rule = (await reported(world))["r"]
    created = "was created at 2026-01-24T22:00:00Z, before the rule came into force at 2026-01-24T23:00:00Z"
    engine = f"{created} (existing has no ageFrom, so the creation counts, with 5 s of tolerance)"
    assert (rule.result, rule.skipped) == (Evaluated.SKIPPED, engine)
    left = "what was so (its creation) before the rule came into force, at 2026-01-24T23:00:00Z, is left alone"
    assert f"existing: {left}, with 5 s of tolerance, since clocks differ" in rule.timing
    await world.settle()
    assert [reason for _, result, reason in world.seen.evaluations] == [engine]


async def test_a_rule_with_a_schedule_says_when_it_is_due_next() -> None:
    """In words too; where it is due, what it would do; its conditions read the time that counts."""
    text = "      schedule: {cron: '30 18 * * MON-FRI', timeZone: Europe/Berlin}\n" + EMIT
    (pack,) = parse_pack(SCHEDULED + text, "pack.yaml", backend())
    world = World(pack)
    await world.create(named(JOB, "train"))
    rule = (await reported(world))["tell"]
    assert (rule.result, rule.skipped) == (Evaluated.SKIPPED, "is due next at 2026-01-26T18:30+01:00 (Europe/Berlin)")
    assert rule.timing == (
        "schedule: At 18:30 on Monday through Friday (30 18 * * MON-FRI in Europe/Berlin), at most 600 s late",
    )
    assert [(value.path, str(value.value)) for value in rule.clauses[0].values] == [
        ("schedule.time", "2026-01-26 17:30:00+00:00")
    ]
    await world.clock.advance(43.5 * 3600 + 60)
    rule = (await reported(world))["tell"]
    assert (rule.result, rule.skipped) == (Evaluated.FIRED, "")


async def test_of_a_rule_with_a_schedule_the_time_is_shown() -> None:
    """It has no `oncePer` that its author has written."""
    text = "      schedule: {cron: '30 18 * * MON-FRI', timeZone: Europe/Berlin}\n" + EMIT
    (pack,) = parse_pack(SCHEDULED + text, "pack.yaml", backend())
    world = World(pack)
    await world.create(named(JOB, "train"))

    lines = [*as_text(await explain(world.cluster, world.clock, world.catalog, await world.get(JOB, "train")))]

    assert '    schedule.time = "2026-01-26T17:30:00Z"' in lines
    assert not [line for line in lines if "oncePer" in line]


SCHEDULED = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: tell
"""
EMIT = """\
      when: schedule.time.getHours() == 17
      actions:
        - emitEvent: {type: Normal, reason: Due, message: due}
"""


VERDICTS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: verdicts}
spec:
  watch: {apiVersion: apps/v1, kind: Deployment}
  targets: [{apiVersion: apps/v1, kind: Deployment, verbs: [get, patch]}]
  rules:
    - name: there
      actions: [{label: {labels: {example.com/there: 'yes'}}}]
    - name: new
      actions: [{label: {labels: {example.com/there: 'yes'}}}, {label: {labels: {example.com/new: 'yes'}}}]
    - name: forbidden
      actions:
        - assert:
            target: {apiVersion: apps/v1, kind: Deployment, name: '${object.metadata.name}'}
            that: 'false'
            message: it is not good
"""


async def test_what_would_be_refused_or_change_nothing_is_not_said_to_fire() -> None:
    """The line of the rule says so, with the reason."""
    (pack,) = parse_pack(VERDICTS, "pack.yaml", backend())
    world = World(pack)
    body = named(DEPLOYMENT, "web")
    body["metadata"]["labels"] = {"example.com/there": "yes"}
    await world.create(body)
    explanation = await explain(world.cluster, world.clock, world.catalog, await world.get(DEPLOYMENT, "web"))

    lines = [unstyle(line).strip() for line in as_text(explanation)]
    assert "there (Enforce) nothing to change" in lines
    assert "new (Enforce) fires" in lines
    assert any(line.startswith("forbidden (Enforce) refused: ") and "it is not good" in line for line in lines), lines
