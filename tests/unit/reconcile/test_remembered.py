"""What is remembered of an object: through restarts, renames, copies, and another version of rulepack."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import backend
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, annotations_of, metadata
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from tests.unit.packs.packs import faults, pack, rule
from tests.unit.reconcile import record_0_1
from tests.world import World, named

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: {name}}}
spec:
  {more}
  watch: {{apiVersion: v1, kind: ConfigMap}}
  rules:
    - name: {rule}
{fields}
"""
EMIT = """\
      oncePer: object.data.word
      actions:
        - emitEvent: {type: Normal, reason: Seen, message: 'saw ${object.data.word}'}
"""


def rules(fields: str = EMIT, name: str = "p", rule: str = "r", more: str = "description: Tests.") -> RulePack:
    """A pack of one rule on ConfigMaps."""
    (found,) = parse_pack(PACK.format(name=name, rule=rule, more=more, fields=fields), "pack.yaml", backend())
    return found


def config(word: str = "a", name: str = "c", **annotations: str) -> Object:
    """A ConfigMap that says a word."""
    obj = named(CONFIG, name, data={"word": word})
    return {**obj, "metadata": {**metadata(obj), "annotations": annotations}}


async def messages(world: World) -> list[str]:
    """What the Events say of which object."""
    return [f"{name}: {message}" for name, _, message in await world.events()]


async def records(world: World, name: str = "c") -> dict[str, str]:
    """The firing records on an object."""
    found = annotations_of(await world.get(CONFIG, name))
    return {key.partition("/")[2]: text for key, text in found.items() if key.startswith("fired.rules.mlops.dev/")}


LOOP = EMIT.replace("oncePer", "loop: object.data.word.split(',')\n      loopKey: item\n      oncePer").replace(
    "object.data.word}", "item}"
)


async def test_what_0_1_has_done_is_not_done_again() -> None:
    """A record that 0.1 wrote, without a uid, counts."""
    done = record_0_1.Record().with_items("a", {"": record_0_1.State.DONE}).text()
    world = World(rules())
    await world.create(config(**{"fired.rules.mlops.dev/p.r": done}))
    await world.settle()
    assert (await messages(world), world.writes) == ([], [])


async def test_items_that_0_1_has_done_are_not_done_again() -> None:
    """Of a firing that 0.1 had begun, what is left is done."""
    done = record_0_1.Record().with_items("a,b", {"a": record_0_1.State.DONE}).text()
    world = World(rules(LOOP))
    await world.create(config("a,b", **{"fired.rules.mlops.dev/p.r": done}))
    await world.settle()
    assert await messages(world) == ["c: saw b"]


async def test_0_1_takes_for_done_what_is_done_now() -> None:
    """Going back to 0.1 repeats nothing: its own code reads the records of today, those of items too."""
    world = World(rules(), rules(LOOP, name="q"))
    await world.create(config("a,b"))
    await world.settle()
    obj = await world.get(CONFIG, "c")
    assert record_0_1.recorded(obj, "p", "r").ended("a,b", "")
    assert all(record_0_1.recorded(obj, "q", "r").ended("a,b", item) for item in "ab")
    assert not record_0_1.recorded(obj, "p", "r").ended("c", "")


async def test_from_0_1_to_0_2_and_back_and_forth_repeats_nothing() -> None:
    """0.1 adds to a record of 0.2 and drops its uid; 0.2 reads that as well."""
    world = World(rules(LOOP))
    await world.create(config("a,b"))
    await world.settle()
    old = record_0_1.recorded(await world.get(CONFIG, "c"), "p", "r").with_items("a,b", {"c": record_0_1.State.DONE})
    await world.patch(CONFIG, "c", {"metadata": {"annotations": {"fired.rules.mlops.dev/p.r": old.text()}}})
    world.restart()
    await world.settle()
    assert await messages(world) == ["c: saw a", "c: saw b"]


async def test_a_copy_of_an_object_fires_although_it_carries_a_copy_of_the_record() -> None:
    """A record is that of one object, by its uid."""
    world = World(rules())
    await world.create(config())
    await world.settle()
    await world.create(config(name="copy", **annotations_of(await world.get(CONFIG, "c"))))
    await world.settle()
    world.restart()
    await world.settle()
    assert await messages(world) == ["c: saw a", "copy: saw a"]


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (rules(name="new", more="previousNames: [p]"), "new.r"),
        (rules(f"      previousNames: [r]\n{EMIT}", rule="new"), "p.new"),
        (rules(f"      previousNames: [p/r]\n{EMIT}", name="new", rule="other"), "new.other"),
        (rules(f"      previousNames: [older, r]\n{EMIT}", name="new", rule="new", more="previousNames: [p]"), "new.new"),
    ],
)
async def test_a_rename_repeats_nothing(after: RulePack, name: str) -> None:
    """What is on record under a previous name counts, and moves to the new one with the next firing, in the same write."""
    world = World(rules())
    await world.create(config())
    await world.settle()
    world.use(after)
    world.restart()
    await world.settle()
    assert await messages(world) == ["c: saw a"]
    await world.patch(CONFIG, "c", {"data": {"word": "b"}})
    await world.settle()
    assert await messages(world) == ["c: saw a", "c: saw b"]
    assert list(await records(world)) == [name]
    assert len([write for write in world.writes if "ConfigMap" in write]) == 2


def test_two_rules_cannot_have_had_one_name() -> None:
    """What is on record under it would be both's."""
    one: dict[str, Any] = rule("one", previousNames=["old"])
    both = faults(pack(rules=[one, rule("two", previousNames=["old"])]))
    assert ["another rule has or had the name 'old'" in fault for fault in both] == [True, True]
    assert len(faults(pack(rules=[one, rule("old")]))) == 1


async def test_records_of_rules_that_are_gone_go_with_the_next_write_after_a_week() -> None:
    """Until then the rule may come back; those of rules that are Off, or that nobody here knows, stay."""
    world = World(rules(), rules(name="off"), rules(name="stays"))
    await world.create(config(**{"fired.rules.mlops.dev/others.r": "{}"}))
    await world.settle()
    world.use(rules(name="off"), rules(name="stays"), modes={"off": Mode.OFF})
    for word, days, left in (("b", 6, ["off.r", "others.r", "p.r", "stays.r"]), ("c", 2, ["off.r", "others.r", "stays.r"])):
        await world.settle(days * 86400.0, step=86400.0)
        await world.patch(CONFIG, "c", {"data": {"word": word}})
        before = len(world.writes)
        await world.settle()
        assert (sorted(await records(world)), len(world.writes) - before) == (left, 2)  # an Event, and the record
