"""The budget of a pack: how many disruptive steps in a minute, what stands still after that, and how it goes on."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from engine.reconcile import budgets
from engine.reconcile.budgets import Admission, resumed

GO, WAIT, SUSPENDED = Admission.GRANTED, Admission.PACED, Admission.SUSPENDED


class Budget:
    """A budget that goes from one value to the next."""

    def __init__(self) -> None:
        self.value = budgets.Budget()

    def begin(self, rule: str, limit: int, resume: str, now: float) -> Admission:
        admission, self.value = self.value.begin(rule, limit, resume, now)
        return admission

    def take(self, rule: str, limit: int, resume: str, now: float) -> Admission:
        admission, self.value = self.value.take(rule, limit, resume, now)
        return admission


def takes(budget: Budget, times: Iterable[float], limit: int = 3, resume: str = "", rule: str = "r") -> list[Admission]:
    return [budget.take(rule, limit, resume, time) for time in times]


def test_a_minute_that_is_over_does_not_count() -> None:
    """Three steps a minute may go on for ever."""
    assert set(takes(Budget(), [minute * 60.0 + second for minute in range(50) for second in range(3)])) == {GO}


def test_one_too_many_suspends_the_rule_for_good() -> None:
    """Time alone does not have it go on."""
    budget = Budget()

    assert takes(budget, [0, 0, 1, 2, 100, 100_000]) == [GO, GO, GO, SUSPENDED, SUSPENDED, SUSPENDED]
    assert budget.begin("r", 3, "", 100_000) is SUSPENDED


def test_other_rules_of_the_pack_stand_still_only_if_they_too_want_more() -> None:
    """The budget is the pack's, the suspension the rule's."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert budget.begin("calm", 3, "", 1) is GO  # what it does may be harmless
    assert takes(budget, [61], rule="calm") == [GO]


def test_what_is_resumed_goes_on_at_the_pace_of_the_budget() -> None:
    """After somebody has resumed it, what is too much waits its turn, and is not suspended again."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert takes(budget, [10, 59], resume="go on") == [WAIT, WAIT]
    assert takes(budget, [60, 60, 60, 60, 90, 119], resume="go on") == [GO, GO, GO, WAIT, WAIT, WAIT]
    assert takes(budget, [120], resume="go on") == [GO]


def test_a_minute_in_which_nothing_waited_ends_the_pace() -> None:
    """The next time that it wants too much it is suspended, and the old word does not count again."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])
    takes(budget, [10], resume="go on")

    assert takes(budget, [200, 200, 200, 200], resume="go on") == [GO, GO, GO, SUSPENDED]
    assert takes(budget, [300], resume="go on") == [SUSPENDED]
    assert takes(budget, [300], resume="once more") == [GO]


def test_without_a_limit_nothing_is_held_back() -> None:
    """0 means any number, also for what is suspended."""
    budget = Budget()
    takes(budget, [0, 0, 0, 0])

    assert set(takes(budget, [1.0] * 500, limit=0)) == {GO}


def test_who_says_that_it_goes_on() -> None:
    """A higher limit, none at all, or a new word; neither a lower limit nor a word that is taken away."""
    assert resumed(3, "", 4, "")
    assert resumed(3, "", 0, "")
    assert resumed(3, "a", 3, "b")
    assert not resumed(3, "a", 3, "a")
    assert not resumed(3, "a", 2, "a")
    assert not resumed(3, "a", 3, "")


@given(
    limit=st.integers(1, 5),
    calls=st.lists(st.tuples(st.floats(0, 40), st.sampled_from(["a", "b"]), st.sampled_from(["", "x", "y", "z"])), max_size=80),
)
def test_no_minute_ever_has_more_steps_than_the_budget(limit: int, calls: list[tuple[float, str, str]]) -> None:
    """Whoever asks when, and whatever people say meanwhile."""
    budget, now, taken = Budget(), 0.0, []
    for pause, rule, resume in calls:
        now += pause
        if budget.take(rule, limit, resume, now) is GO:
            taken.append(now)

    assert all(sum(1 for other in taken if time - 60 < other <= time) <= limit for time in taken)
