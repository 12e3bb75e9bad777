"""The budget of a pack: how many disruptive steps, for whom, in which turn, what is suspended, and how it goes on."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.reconcile import budget
from engine.reconcile.budget import Admission, Terms, resumed

GO, WAIT, SUSPENDED, PACK = Admission.GRANTED, Admission.PACED, Admission.SUSPENDED, Admission.PACK_SUSPENDED


class Budget:
    """A budget that goes from one value to the next."""

    def __init__(self) -> None:
        self.value = budget.Budget()

    def begin(self, flow: str, terms: Terms, now: float) -> Admission:
        admission, self.value = self.value.begin(flow, terms, now)
        return admission

    def take(self, flow: str, terms: Terms, now: float) -> Admission:
        admission, self.value = self.value.take(flow, terms, now)
        return admission

    def give_back(self, flow: str) -> None:
        self.value = self.value.given_back(flow)


def takes(
    budget: Budget, times: Iterable[float], limit: int = 3, resume: str = "", flow: str = "a", share: float = 1.0
) -> list[Admission]:
    return [budget.take(flow, Terms(limit, resume, share), time) for time in times]


def drained(budget: Budget, flows: dict[str, int], terms: Terms, begin: float, end: float) -> dict[str, list[float]]:
    """Have so many objects of each flow take one step each, asking at the given time; return when each was done."""
    due = [(begin, number, flow) for flow, count in flows.items() for number in range(count)]
    done: dict[str, list[float]] = {flow: [] for flow in flows}
    while due and min(due)[0] < end:
        now, number, flow = min(due)
        due.remove((now, number, flow))
        if budget.take(flow, terms, now) is GO:
            done[flow].append(now)
        else:
            due.append((max(budget.value.slots.get(flow, now + 30.0), now + 0.001), number, flow))
    return done


def test_a_pace_that_the_budget_allows_goes_on_for_ever() -> None:
    """Three steps a minute, all at once."""
    assert set(takes(Budget(), [minute * 60.0 + second for minute in range(50) for second in range(3)])) == {GO}


def test_one_too_many_suspends_the_namespace_for_good() -> None:
    """Time alone does not have it go on."""
    budget = Budget()

    assert takes(budget, [0, 0, 1, 2, 100, 100_000]) == [GO, GO, GO, SUSPENDED, SUSPENDED, SUSPENDED]
    assert budget.begin("a", Terms(3), 100_000) is SUSPENDED


def test_a_namespace_never_takes_more_than_a_budget_within_a_minute() -> None:
    """Although the bucket fills all the time."""
    assert takes(Budget(), [0, 15, 30, 45]) == [GO, GO, GO, SUSPENDED]


def test_other_namespaces_go_on() -> None:
    """One that has taken less waits for what comes free next, 20 s at three a minute, and is not suspended."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert budget.begin("b", Terms(3), 1) is GO  # what it does may be harmless
    assert takes(budget, [1, 19, 20], flow="b") == [WAIT, WAIT, GO]
    assert takes(budget, [21], flow="a") == [SUSPENDED]


def test_a_second_namespace_that_wants_too_much_is_suspended_too() -> None:
    """Once nobody has taken more within a minute than it has."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert takes(budget, [20, 40, 61, 61], flow="b") == [GO, GO, GO, SUSPENDED]


def test_three_suspended_namespaces_suspend_the_pack() -> None:
    """Whatever makes three of them want too much is no matter of a namespace."""
    budget = Budget()
    for flow in "abc":
        takes(budget, [0], flow=flow)

    assert [takes(budget, [0], flow=flow) for flow in "abc"] == [[SUSPENDED], [SUSPENDED], [PACK]]
    assert takes(budget, [1000], flow="calm") == [PACK]
    assert budget.begin("calm", Terms(3), 1000) is PACK
    assert takes(budget, [1000], flow="calm", resume="go on") == [GO]
    assert takes(budget, [1000] * 3, flow="a", resume="go on") == [GO, GO, WAIT]


def test_what_is_resumed_goes_on_at_the_pace_of_the_budget() -> None:
    """After somebody has resumed it, what is too much waits for its turn, and is not suspended again."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert takes(budget, [10, 19], resume="go on") == [WAIT, WAIT]
    assert takes(budget, [20, 21, 40, 60, 79, 80], resume="go on") == [GO, WAIT, GO, GO, WAIT, GO]


def test_a_minute_in_which_nothing_waited_ends_the_pace() -> None:
    """The next time that it wants too much it is suspended, and the old word does not count again."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])
    takes(budget, [10], resume="go on")

    assert takes(budget, [200, 200, 200, 200], resume="go on") == [GO, GO, GO, SUSPENDED]
    assert takes(budget, [300], resume="go on") == [SUSPENDED]
    assert takes(budget, [300], resume="once more") == [GO]


def test_two_thousand_steps_of_one_namespace_delay_one_of_another_by_less_than_5_s() -> None:
    """A hundred a minute, after the first namespace was resumed; one a second for 100 others changes that by their turns only."""
    budget, terms = Budget(), Terms(100, "go on")
    takes(budget, [0.0] * 101, limit=100)
    first = drained(budget, {"team-a": 2000}, terms, 1.0, 300.0)
    assert 450 < len(first["team-a"]) < 550

    done = drained(budget, {"team-a": 1500, "team-b": 1}, terms, 300.0, 400.0)

    assert done["team-b"][0] - 300.0 < 5.0
    assert len(done["team-a"]) > 150


def test_namespaces_that_wait_share_the_budget_in_turn() -> None:
    """Each of three gets a third, whoever has more to do, and whoever came first."""
    budget, terms = Budget(), Terms(60, "go on")
    takes(budget, [0.0] * 61, limit=60)

    done = drained(budget, {"a": 300, "b": 100, "c": 60}, terms, 1.0, 121.0)

    assert sum(map(len, done.values())) in range(115, 125)
    assert all(len(times) in range(36, 44) for times in done.values())


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("counts", [{"a": 150, "b": 60}, {"a": 150, "b": 150}, {"a": 150, "b": 60, "c": 20}])
@pytest.mark.parametrize("limit", [4, 40])
def test_no_namespace_has_more_than_half_while_another_one_waits(first: str, counts: dict[str, int], limit: int) -> None:
    """In each minute in which others wait all the time, and one step more at most, whoever came first and wants how much."""
    budget, terms = Budget(), Terms(limit, "go on")
    takes(budget, [0.0] * (limit + 1), limit=limit, flow=first)

    done = drained(budget, counts, terms, 1.0, 181.0)

    for flow, times in done.items():
        others = max(done[other][-1] if len(done[other]) == counts[other] else 181.0 for other in counts if other != flow)
        for begin in (1.0, 61.0, 121.0):
            if begin + 60 <= others:
                assert sum(begin <= time < begin + 60 for time in times) <= limit / 2 + 1
    assert sum(map(len, done.values())) >= min(sum(counts.values()), 3 * limit - 2)  # and nothing of it is left unused


def test_one_step_a_minute_is_shared_in_turn_too() -> None:
    """A bucket that holds one step keeps the turn of whoever waits."""
    budget, terms = Budget(), Terms(1, "go on")
    takes(budget, [0.0, 0.0], limit=1)

    done = drained(budget, {"a": 50, "b": 3}, terms, 1.0, 400.0)

    assert len(done["b"]) == 3
    assert len(done["a"]) in (3, 4)


def test_a_turn_of_one_that_does_not_come_is_lost() -> None:
    """Its object is gone: others go on soon after."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])
    assert takes(budget, [1], flow="b", resume="go on") == [WAIT]

    assert takes(budget, [20, 30], flow="a", resume="go on") == [WAIT, GO]


def test_what_was_not_done_is_given_back() -> None:
    """A step that the API server has refused leaves the budget whole, however often."""
    budget = Budget()
    for _ in range(100):
        assert takes(budget, [0.0]) == [GO]
        budget.give_back("a")

    assert takes(budget, [0, 0, 0, 0]) == [GO, GO, GO, SUSPENDED]


def test_shards_divide_the_budget() -> None:
    """Three of three steps a minute may take one each."""
    assert takes(Budget(), [0, 0], share=1 / 3) == [GO, SUSPENDED]
    assert takes(Budget(), [0] * 6, limit=10, share=1 / 2) == [GO] * 5 + [SUSPENDED]


def test_without_a_limit_nothing_is_held_back() -> None:
    """0 means any number, also for what is suspended."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert set(takes(budget, [1.0] * 500, limit=0)) == {GO}


def test_who_says_that_it_goes_on() -> None:
    """A higher limit, none at all, or a new word; neither a lower limit nor a word that is taken away."""
    assert resumed(Terms(3, ""), Terms(4, ""))
    assert resumed(Terms(3, ""), Terms(0, ""))
    assert resumed(Terms(3, "a"), Terms(3, "b"))
    assert not resumed(Terms(3, "a"), Terms(3, "a"))
    assert not resumed(Terms(3, "a"), Terms(2, "a"))
    assert not resumed(Terms(3, "a"), Terms(3, ""))


@given(
    limit=st.integers(1, 5),
    calls=st.lists(
        st.tuples(st.floats(0, 40), st.sampled_from("abcd"), st.sampled_from(["", "x", "y", "z"]), st.booleans()), max_size=80
    ),
)
def test_the_bucket_bounds_what_is_done(limit: int, calls: list[tuple[float, str, str, bool]]) -> None:
    """In any time: a whole budget (or a turn of each namespace, where that is more), and what comes free meanwhile."""
    budget, now, taken = Budget(), 0.0, []
    for pause, flow, resume, refused in calls:
        now += pause
        if budget.take(flow, Terms(limit, resume), now) is GO:
            if refused:
                budget.give_back(flow)
            else:
                taken.append(now)

    for number, begin in enumerate(taken):
        for count, end in enumerate(taken[number:], start=1):
            assert count <= max(limit, 5) + (end - begin) * limit / 60 + 1e-3


@given(limit=st.integers(1, 5), pauses=st.lists(st.floats(0, 40), max_size=80))
def test_no_minute_of_one_namespace_has_more_steps_than_the_budget(limit: int, pauses: list[float]) -> None:
    """As long as nobody resumes it."""
    budget, now, taken = Budget(), 0.0, []
    for pause in pauses:
        now += pause
        if budget.take("a", Terms(limit), now) is GO:
            taken.append(now)

    assert all(sum(1 for other in taken if time - 60 < other <= time) <= limit for time in taken)


@settings(max_examples=50)
@given(counts=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 12), min_size=2), limit=st.integers(1, 60))
def test_of_those_that_wait_none_gets_ahead(counts: dict[str, int], limit: int) -> None:
    """As long as two of them have something to do, neither has had two steps more than the other."""
    budget = Budget()
    takes(budget, [0.0] * (limit + 1), limit=limit)

    done = drained(budget, counts, Terms(limit, "go on"), 1.0, 4000.0)

    assert {flow: len(times) for flow, times in done.items()} == counts
    for one in done.values():
        for other in done.values():
            for number, time in enumerate(one, start=1):
                assert number - sum(1 for each in other if each <= time) <= 2 or max(other) <= time
