"""How much may be removed at once: no more than half, but few, until somebody says so."""

from __future__ import annotations

from engine.model.objects import Kind, ObjectKey
from engine.reconcile.removals import FEW, WINDOW, Removals, Wanted


def key(name: str = "source") -> ObjectKey:
    """A source."""
    return ObjectKey(Kind("v1", "ConfigMap"), "ns", name)


def uids(*numbers: int) -> frozenset[str]:
    """Objects, by their numbers."""
    return frozenset(map(str, numbers))


def asked(*asks: tuple[ObjectKey, frozenset[str], frozenset[str], float], resume: str = "") -> Removals:
    """What comes of asking for sources, one after the other, for objects among those present at a time."""
    removals = Removals()
    for source, wanted, present, now in asks:
        removals = removals.ask(Wanted(source, wanted, present), resume, now)
    return removals


def test_half_may_go_and_more_may_not() -> None:
    twenty = uids(*range(20))
    assert asked((key(), uids(*range(10)), twenty, 0.0)).allows(uids(*range(10)))
    assert not asked((key(), uids(*range(11)), twenty, 0.0)).allows(uids(*range(11)))


def test_few_may_go_whatever_there_is() -> None:
    assert asked((key(), uids(*range(FEW)), uids(*range(FEW)), 0.0)).allows(uids(*range(FEW)))
    assert not asked((key(), uids(*range(FEW + 1)), uids(*range(FEW + 1)), 0.0)).allows(uids(0))


def test_what_was_removed_within_a_minute_counts() -> None:
    removals = asked(
        (key("a"), uids(*range(10)), uids(*range(20)), 0.0), (key("b"), uids(10), uids(*range(10, 20)), WINDOW - 1.0)
    )
    assert not removals.allows(uids(10))
    later = asked((key("a"), uids(*range(10)), uids(*range(20)), 0.0), (key("b"), uids(10), uids(*range(10, 20)), WINDOW + 1.0))
    assert later.allows(uids(10))


def test_what_other_sources_want_removed_and_what_has_no_source_counts() -> None:
    twenty = uids(*range(20))
    orphans = Wanted(key(), uids(0), twenty, uids(*range(1, 11)))
    assert not Removals().ask(orphans, "", 0.0).allows(uids(0))
    suspended = asked((key("a"), uids(*range(11)), twenty, 0.0), (key("b"), uids(11), twenty, 0.0))
    assert not suspended.allows(uids(11))


def test_it_stays_suspended_until_another_word_and_then_lets_go_what_was_known() -> None:
    twenty = uids(*range(20))
    suspended = asked((key(), uids(*range(15)), twenty, 0.0), resume="old")
    for word in ("old", ""):
        assert not suspended.ask(Wanted(key(), uids(0), twenty), word, 10 * WINDOW).allows(uids(0))
    resumed = suspended.ask(Wanted(key(), uids(*range(15)), twenty), "new", 10 * WINDOW)
    assert resumed.allows(uids(*range(15)))
    others = uids(*range(100, 120))
    assert not resumed.ask(Wanted(key("b"), others, others), "new", 20 * WINDOW).allows(others)


def test_what_is_not_wanted_removed_any_more_does_not_count() -> None:
    twenty = uids(*range(20))
    removals = asked((key("a"), uids(*range(9)), twenty, 0.0)).without(key("a"))
    assert removals.due == {}
    later = removals.ask(Wanted(key("b"), uids(*range(9, 18)), uids(*range(20))), "", WINDOW + 1.0)
    assert later.allows(uids(*range(9, 18)))


def test_a_suspension_ends_when_nothing_of_it_is_due_and_a_word_after_that_grants_nothing() -> None:
    twenty = uids(*range(20))
    suspended = asked((key("a"), uids(*range(15)), twenty, 0.0), (key("b"), uids(15), twenty, 0.0))
    assert suspended.without(key("a")).suspended == uids(15)
    undone = suspended.without(key("a")).without(key("b"))
    assert undone.suspended == frozenset() and undone.held("pack", "rule") is None
    again = undone.resumed("new").ask(Wanted(key("a"), uids(*range(15)), twenty), "new", 10 * WINDOW)
    assert not again.allows(uids(*range(15)))


def test_what_is_confirmed_stays_so_only_as_long_as_it_is_due() -> None:
    twenty = uids(*range(20))
    wanted = Wanted(key(), uids(*range(15)), twenty)
    resumed = asked((key(), uids(*range(15)), twenty, 0.0)).ask(wanted, "new", 1.0)
    assert resumed.ask(wanted, "new", 2.0).allows(uids(*range(15)))
    assert not resumed.without(key()).ask(wanted, "new", 2.0).allows(uids(*range(15)))
    fewer = resumed.ask(Wanted(key(), uids(0), twenty), "new", 2.0)
    assert not fewer.ask(wanted, "new", 10 * WINDOW).allows(uids(*range(15)))
