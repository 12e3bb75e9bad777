"""Large values that change between the time they are cached and the time a rule reads them, beside what else a pack does."""

from __future__ import annotations

from typing import Any

import pytest

from engine.kube.faults import InjectedFault
from engine.model.objects import ObjectKey
from engine.reconcile.prune import LARGE, Omitted
from tests.unit.reconcile.test_large import CONFIG, LONG, RULES, cached, config, marks, reads, world
from tests.world import World

KEY = ObjectKey(CONFIG, "ns", "c")


async def mark(fixture: World, name: str = "a/mark") -> str | None:
    """An annotation of the ConfigMap."""
    return (await fixture.annotations(CONFIG, "c")).get(name)


async def expected(rule: str, text: str) -> str | None:
    """What an engine marks that finds the ConfigMap with this text at once."""
    fixture = world(rule)
    await fixture.create(config(text))
    await fixture.settle()
    return await mark(fixture)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("listed", "acting"),
    [(LONG, "short again"), ("short", LONG), (LONG, LONG + "y"), ("x" * (LARGE - 3), LONG), (LONG, "x" * (LARGE - 3))],
    ids=["shrinks", "grows", "stays large", "grows by some bytes", "shrinks by some bytes"],
)
async def test_what_changes_between_list_and_act_is_acted_on_as_it_is(rule: str, listed: str, acting: str) -> None:
    """The cache is behind by one change: once its event has come, the mark is that of the newest value, whatever was large."""
    fixture = world(RULES[rule])
    await fixture.create(config(listed))
    behind = await fixture.get(CONFIG, "c")
    await fixture.patch(CONFIG, "c", {"data": {"text": acting}})
    fixture.caches.put(KEY, behind)

    await fixture.reconciler.reconcile(KEY)
    first = await mark(fixture)
    await fixture.settle()

    newest = await expected(RULES[rule], acting)
    assert await mark(fixture) == newest
    assert first in {newest, await expected(RULES[rule], listed)}, "half of one and half of the other"


async def test_each_step_around_the_limit_is_noticed() -> None:
    """A value that grows and shrinks byte by byte over the limit is another one each time, and marked each time."""
    fixture = world(RULES["template"], fields="data.text")
    await fixture.create(config("x" * (LARGE - 2)))
    found = []
    for size in (LARGE - 2, LARGE - 1, LARGE, LARGE + 1, LARGE, LARGE - 1):
        await fixture.patch(CONFIG, "c", {"data": {"text": "x" * size}})
        await fixture.settle()
        found.append(await mark(fixture))
        assert isinstance(cached(fixture)["text"], Omitted) == (size > LARGE)
    assert found[:4] == [*dict.fromkeys(found)]
    assert found[4:] == [found[2], found[1]]


@pytest.mark.parametrize(("kind", "fires"), [("this", True), ("other", False)])
async def test_a_small_value_inside_of_what_is_omitted_rules_nothing_out(kind: str, fires: bool) -> None:
    """One rule reads all of data, so all of it is omitted; another one compares a small part of it."""
    compare = marks("object.data.kind == 'this'", kind).replace("name: r", "name: compare").replace("a/mark", "a/kind")
    fixture = world(RULES["whole"], compare)
    await fixture.create(config(LONG, kind=kind))

    await fixture.settle()

    assert isinstance(cached(fixture), Omitted)
    assert await mark(fixture, "a/kind") == (kind if fires else None)
    assert await mark(fixture)


@pytest.mark.parametrize(
    "when",
    [
        "object.data.text.startsWith('x')", "object.data.?text.orValue('').size() > 5", "'text' in object.data",
        "object.data.exists(key, object.data[key].size() > 5)", "get(object, 'data.text', '') != ''",
        "jmespath(object, 'length(data.text)') > 5", "vars.text.size() > 5", "!has(object.data.absent)",
    ],
)  # fmt: skip
async def test_a_condition_may_read_it_in_any_way(when: str) -> None:
    """It holds for the large value as for a short one, and not for a ConfigMap without it."""
    fixture = world(marks(when, "yes"), more="vars: {text: \"get(object, 'data.text', '')\"}")
    for text in ("xxxxxx", LONG):
        await fixture.create(config(text))
        await fixture.settle()
        assert await mark(fixture) == "yes", fixture.seen.evaluations[-1]
        await fixture.delete(CONFIG, "c")
        await fixture.settle()


async def test_old_and_new_of_a_large_value_are_compared() -> None:
    """`oldObject` is what it was at the last evaluation, a large value whole; a change beside it is none of the value."""
    rule = marks(
        "oldObject != null && oldObject.data.text != object.data.text",
        "${string(oldObject.data.text.size())} ${string(object.data.text.size())}",
    )
    fixture = world(rule)
    await fixture.create(config(LONG))
    await fixture.settle()
    found = []
    for data in ({"text": LONG + "y"}, {"other": "z"}, {"text": "short"}, {"text": LONG}):
        await fixture.patch(CONFIG, "c", {"data": data})
        await fixture.settle()
        found.append(await mark(fixture))
    length = len(LONG)
    assert found == [f"{length} {length + 1}", f"{length} {length + 1}", f"{length + 1} 5", f"5 {length}"]


async def test_old_of_another_rule_is_compared_beside_a_large_value_that_is_read() -> None:
    """One rule compares a small field with what it was, another one reads all of the large object when acting."""
    changes = marks("oldObject != null && oldObject.data.kind != object.data.kind", "${oldObject.data.kind}")
    whole = RULES["template"].replace("name: r", "name: w").replace("a/mark", "a/hash")
    fixture = world(changes, whole)
    await fixture.create(config(LONG, kind="one"))
    await fixture.settle()
    before = await mark(fixture, "a/hash")

    await fixture.patch(CONFIG, "c", {"data": {"kind": "two", "text": LONG + "y"}})
    await fixture.settle()

    assert await mark(fixture) == "one"
    assert await mark(fixture, "a/hash") not in {None, before}


async def test_a_hold_goes_on_while_the_value_stays_large_and_ends_with_it() -> None:
    """`for` counts from when the condition held first; a read that fails meanwhile does not begin it anew."""
    rule = RULES["condition"].replace("{name: r,", "{name: r, for: 60s,")
    fixture = world(rule)
    await fixture.create(config(LONG))
    await fixture.settle(30)
    fixture.engine.faults.add(InjectedFault(503, verb="list", times=2))
    await fixture.patch(CONFIG, "c", {"data": {"other": "z"}})
    await fixture.settle(25)
    assert await mark(fixture) is None
    await fixture.settle(10)
    assert await mark(fixture)


async def test_one_read_serves_every_pack_and_rule() -> None:
    """However many rules read it at one change, the object is read once."""
    rules = [RULES["template"].replace("a/mark", f"a/m{number}").replace("name: r", f"name: r{number}") for number in range(5)]
    fixture = world(*rules)
    await fixture.create(config(LONG))

    await fixture.settle()

    found: Any = await fixture.annotations(CONFIG, "c")
    assert len({found[f"a/m{number}"] for number in range(5)}) == 1
    assert reads(fixture) == 1
