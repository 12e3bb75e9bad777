"""Totals with running totals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from engine.cel import backend
from engine.model.objects import Kind, ObjectKey
from engine.packs.aggregate import Aggregate
from engine.packs.parse import parse_pack
from engine.reconcile.totals import Row, Totals

NAMESPACES = st.sampled_from(["a", "b"])
NAMES = st.sampled_from([f"job-{number}" for number in range(6)])
ROWS = st.builds(
    Row,
    st.sampled_from(["x", "y"]),
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(st.none() | st.sampled_from(["p", "q", "r", "s"])),
    st.tuples(st.none() | st.integers(-3, 3) | st.sampled_from([0.1, 0.2, 0.3, 1e300, -1e300])),
    st.tuples(st.none() | st.tuples(st.just(False), st.integers(-3, 3))),
    st.tuples(st.none() | st.tuples(st.just(True), st.sampled_from(["2026-01-01", "2026-01-02"]))),
)
CHANGES = st.lists(st.tuples(NAMESPACES, NAMES, st.none() | ROWS), max_size=60)


(PACK,) = parse_pack(
    """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: Pod}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, list, patch]}]
  rules:
    - name: r
      aggregate:
        by: object.metadata.name
        target: {apiVersion: v1, kind: ConfigMap, namespace: default, name: '${groupKey}'}
        counts: {total: 'true', failed: 'true'}
        lists: {failedJobs: {value: object.metadata.name, limit: 2}}
        sum: {cpu: size(object.spec.containers)}
        min: {first: size(object.spec.containers)}
        max: {last: object.metadata.name}
      actions: [{annotate: {annotations: {a: '${group.total}'}}}]
""",
    "pack.yaml",
    backend(),
)
AGGREGATE = cast(Aggregate, PACK.rules[0].aggregate)


def member(namespace: str, name: str) -> ObjectKey:
    """Return the key of a member."""
    return ObjectKey(Kind("v1", "Pod"), namespace, name)


def naive(rows: dict[tuple[str, str], Row], group: str, foreign: set[str]) -> dict[str, Any]:
    """The same by counting everything but the members of these names."""
    members = [row for (_, name), row in rows.items() if row.group == group and name not in foreign]
    listed = sorted(row.lists[0] for row in members if row.lists[0] is not None)
    last = [row.maxima[0] for row in members if row.maxima[0] is not None]
    first = [row.minima[0] for row in members if row.minima[0] is not None]
    numbers = [row.sums[0] for row in members if row.sums[0] is not None]
    found: dict[str, Any] = {
        "total": sum(row.counts[0] for row in members),
        "failed": sum(row.counts[1] for row in members),
        "failedJobs": listed[:2],
        "cpu": math.fsum(numbers) if any(isinstance(number, float) for number in numbers) else sum(numbers),
        "first": min(first)[1] if first else None,
        "last": max(last)[1] if last else None,
    }
    return found | ({"failedJobsLeftOut": len(listed) - 2} if len(listed) > 2 else {})


def ask(groups: Totals, target: str, foreign: set[str]) -> None:
    """Ask all members that have to be asked; those of these names do not consent."""
    for group in ("x", "y"):
        for each in groups.unasked(group, ("uid", target)):
            groups.admit(group, each, consents=each.name not in foreign)


@given(CHANGES, st.sets(NAMES), st.sets(NAMES))
def test_running_totals_are_what_a_recount_gives(
    changes: list[tuple[str, str, Row | None]], foreign: set[str], later: set[str]
) -> None:
    """Whatever objects come, change, move between groups and go: each group is as if it had been counted now."""
    groups, rows = Totals(AGGREGATE), dict[tuple[str, str], Row]()
    for number, (namespace, name, row) in enumerate(changes):
        groups.put(member(namespace, name), row)
        rows.pop((namespace, name), None)
        if row is not None:
            rows[namespace, name] = row
        assert set(groups.keys()) == {row.group for row in rows.values()}
        if number % 7 == 0:
            ask(groups, "1", foreign)
    ask(groups, "1", foreign)
    for group in ("x", "y"):
        assert groups.view(group) == naive(rows, group, foreign)
        counted = {namespace for (namespace, name), row in rows.items() if row.group == group and name not in foreign}
        assert groups.namespaces(group) == counted
    ask(groups, "2", later)  # of a target that has changed everybody is asked again
    before = {group: groups.view(group) for group in ("x", "y")}
    assert before == {group: naive(rows, group, later) for group in ("x", "y")}
    groups.recount()
    assert {group: groups.view(group) for group in ("x", "y")} == before


def test_a_value_is_kept_after_its_member_has_gone_or_changed() -> None:
    """For as long as the list says, and only if the member counted."""
    lists = {"failedJobs": replace(AGGREGATE.lists["failedJobs"], keep_for=60.0)}
    groups = Totals(replace(AGGREGATE, lists=lists))
    for name in ("gone", "changed", "foreign"):
        groups.put(member("ns", name), Row("g", (True, True), (name,), (None,), (None,), (None,)), 0.0)
        groups.admit("g", member("ns", name), consents=name != "foreign")
    for name in ("gone", "foreign"):
        groups.put(member("ns", name), None, 10.0)
    groups.put(member("ns", "changed"), Row("g", (True, False), (None,), (None,), (None,), (None,)), 20.0)

    assert groups.view("g", 30.0)["failedJobs"] == ["changed", "gone"]
    assert groups.kept_until("g") == 70.0
    assert (groups.view("g", 75.0)["failedJobs"], groups.view("g", 85.0)["failedJobs"]) == (["changed"], [])
    groups.put(member("ns", "changed"), None, 90.0)
    assert groups.namespaces("g", 90.0) == frozenset()


@given(NAMESPACES, NAMES, ROWS, ROWS)
def test_a_change_names_the_groups_that_it_changes(namespace: str, name: str, before: Row, after: Row) -> None:
    """An object that moves changes the group it leaves and the one it joins; one that stays as it is changes none."""
    groups = Totals(AGGREGATE)
    assert set(groups.put(member(namespace, name), before)) == {before.group}
    assert set(groups.put(member(namespace, name), before)) == set()
    assert set(groups.put(member(namespace, name), after)) == ({before.group, after.group} if before != after else set())
    assert set(groups.put(member(namespace, name), None)) == {after.group}
    assert groups.put(member(namespace, name), None) == ()
