"""Totals with running totals."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from engine.cel import backend
from engine.packs.pack import Aggregate
from engine.packs.parse import parse_pack
from engine.reconcile.totals import Row, Totals

NAMESPACES = st.sampled_from(["a", "b"])
NAMES = st.sampled_from([f"job-{number}" for number in range(6)])
ROWS = st.builds(
    Row,
    st.sampled_from(["x", "y"]),
    st.tuples(st.booleans(), st.booleans()),
    st.tuples(st.none() | st.sampled_from(["p", "q", "r", "s"])),
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
        max: {last: object.metadata.name}
      actions: [{annotate: {annotations: {a: '${group.total}'}}}]
""",
    "pack.yaml",
    backend(),
)
AGGREGATE = cast(Aggregate, PACK.rules[0].aggregate)


def naive(rows: dict[tuple[str, str], Row], group: str, namespaces: set[str]) -> dict[str, Any]:
    """The same by counting everything."""
    members = [row for (namespace, _), row in rows.items() if row.group == group and namespace in namespaces]
    listed = sorted(row.lists[0] for row in members if row.lists[0] is not None)
    last = [row.maxima[0] for row in members if row.maxima[0] is not None]
    found: dict[str, Any] = {
        "total": sum(row.counts[0] for row in members),
        "failed": sum(row.counts[1] for row in members),
        "failedJobs": listed[:2],
        "last": max(last)[1] if last else None,
    }
    return found | ({"failedJobsLeftOut": len(listed) - 2} if len(listed) > 2 else {})


@given(CHANGES, st.sets(NAMESPACES))
def test_running_totals_are_what_a_recount_gives(changes: list[tuple[str, str, Row | None]], asked: set[str]) -> None:
    """Whatever objects come, change, move between groups and go: each group is as if it had been counted now."""
    groups, rows = Totals(AGGREGATE), dict[tuple[str, str], Row]()
    for namespace, name, row in changes:
        groups.put(namespace, name, row)
        rows.pop((namespace, name), None)
        if row is not None:
            rows[namespace, name] = row
        assert set(groups.keys()) == {row.group for row in rows.values()}
    for group in ("x", "y"):
        assert groups.view(group, asked) == naive(rows, group, asked)
        assert set(groups.representatives(group)) == {namespace for (namespace, _), row in rows.items() if row.group == group}
    before = {group: groups.view(group, {"a", "b"}) for group in ("x", "y")}
    groups.recount()
    assert {group: groups.view(group, {"a", "b"}) for group in ("x", "y")} == before


@given(NAMESPACES, NAMES, ROWS, ROWS)
def test_a_change_names_the_groups_that_it_changes(namespace: str, name: str, before: Row, after: Row) -> None:
    """An object that moves changes the group it leaves and the one it joins; one that stays as it is changes none."""
    groups = Totals(AGGREGATE)
    assert set(groups.put(namespace, name, before)) == {before.group}
    assert set(groups.put(namespace, name, before)) == set()
    assert set(groups.put(namespace, name, after)) == ({before.group, after.group} if before != after else set())
    assert set(groups.put(namespace, name, None)) == {after.group}
    assert groups.put(namespace, name, None) == ()
