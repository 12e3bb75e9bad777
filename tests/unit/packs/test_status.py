"""The status of a RulePack, as it is computed."""

from __future__ import annotations

from engine.errors import Fault, Location
from engine.packs.conditions import FAULTS
from engine.packs.status import RuleCounts, Standing, computed

NOW = "2026-01-24T22:00:00Z"


def test_ten_faults_are_shown_and_all_are_counted() -> None:
    faults = [Fault(Location("rulepack/ops/a", 1, 1, f"spec.rules[{n}]"), "unknown key") for n in range(FAULTS + 2)]

    status = computed({"metadata": {"generation": 3}}, Standing(refused="Invalid", faults=faults), 0, NOW)

    assert [fault["path"] for fault in status["faults"]] == [f"spec.rules[{n}]" for n in range(10)]
    assert status["faultCount"] == 12
    assert status["conditions"][0]["message"].endswith("; and 2 more")


def test_a_rule_says_where_its_pack_is_suspended() -> None:
    assert RuleCounts(suspended=["team-a", "team-b"]).data("mark")["suspended"] == ["team-a", "team-b"]


def test_one_warning_is_one_thing() -> None:
    for number, words in ((1, "one thing in it may not be meant"), (2, "2 things in it may not be meant")):
        warnings = [Fault(Location("rulepack/ops/a", 1, 1, "spec"), "odd")] * number

        status = computed({"metadata": {"generation": 3}}, Standing(warnings=warnings), 0, NOW)

        assert words in status["conditions"][1]["message"]
