"""Groups of objects with running share: constant work per change, however large a group is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sortedcontainers import SortedList

from engine.cel import Scope
from engine.errors import EvaluationError
from engine.model.merge import canonical
from engine.packs.pack import Aggregate


@dataclass(frozen=True, slots=True)
class Row:
    """What one object contributes: the group it belongs to, and a small value for each count, list and maximum."""

    group: str
    counts: tuple[bool, ...]
    lists: tuple[str | None, ...]
    maxima: tuple[Any, ...]


def row_of(aggregate: Aggregate, scope: Scope) -> Row | None:
    """An object's row; None where it belongs to no group. Raises EvaluationError."""
    group = aggregate.by.evaluate(scope)
    if not isinstance(group, str):
        raise EvaluationError(f"aggregate.by gave {group!r}, not a string: {aggregate.by.source}")
    if not group:
        return None
    lists = []
    for each in aggregate.lists.values():
        listed = each.where is None or each.where.condition(scope)
        lists.append(_text(each.value.evaluate(scope)) if listed else None)
    return Row(
        group,
        tuple(program.condition(scope) for program in aggregate.counts.values()),
        tuple(lists),
        tuple(_maximum(name, program.evaluate(scope)) for name, program in aggregate.maxima.items()),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _maximum(name: str, value: Any) -> Any:
    """Numbers come before texts, so that any two values have an order."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise EvaluationError(f"aggregate.max.{name} gave {value!r}; expected a number, a text or null")
    return (isinstance(value, str), value)


@dataclass(slots=True)
class _Share:
    """The running share of the members of a group that live in one namespace."""

    members: dict[str, None]
    counts: list[int]
    lists: list[SortedList]
    maxima: list[SortedList]

    def add(self, name: str, row: Row) -> None:
        self.members[name] = None
        for index, counted in enumerate(row.counts):
            self.counts[index] += counted
        for values, value in zip([*self.lists, *self.maxima], [*row.lists, *row.maxima], strict=True):
            if value is not None:
                values.add(value)

    def remove(self, name: str, row: Row) -> None:
        del self.members[name]
        for index, counted in enumerate(row.counts):
            self.counts[index] -= counted
        for values, value in zip([*self.lists, *self.maxima], [*row.lists, *row.maxima], strict=True):
            if value is not None:
                values.remove(value)


@dataclass(slots=True)
class Totals:
    """All groups of one aggregate rule. Members are kept by namespace, since each namespace is asked for its consent."""

    aggregate: Aggregate
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    _shares: dict[str, dict[str, _Share]] = field(default_factory=dict)

    def put(self, namespace: str, name: str, row: Row | None) -> Collection[str]:
        """Let an object contribute this row, and no other; returns the groups that are not what they were."""
        before = self.rows.get((namespace, name))
        if before == row:
            return ()
        if before is not None:
            self._leave(namespace, name, before)
        if row is None:
            self.rows.pop((namespace, name), None)
        else:
            self.rows[namespace, name] = row
            self._of(row.group, namespace).add(name, row)
        return {found.group for found in (before, row) if found is not None}

    def keys(self) -> Collection[str]:
        """The groups that have members."""
        return self._shares.keys()

    def representatives(self, group: str) -> Mapping[str, str]:
        """For each namespace with members of a group, the name of one of them."""
        return {namespace: next(iter(share.members)) for namespace, share in self._shares.get(group, {}).items()}

    def view(self, group: str, namespaces: Collection[str]) -> dict[str, Any]:
        """A group as expressions see it, of the members in these namespaces only.

        A list holds its first values in order; where it has more than its limit, `<list>LeftOut` says how many are
        left out. A maximum without a value is null.
        """
        parts = [share for namespace, share in self._shares.get(group, {}).items() if namespace in namespaces]
        found: dict[str, Any] = {}
        for index, name in enumerate(self.aggregate.counts):
            found[name] = sum(part.counts[index] for part in parts)
        for index, (name, each) in enumerate(self.aggregate.lists.items()):
            first = sorted(value for part in parts for value in part.lists[index][: each.limit])[: each.limit]
            left_out = sum(len(part.lists[index]) for part in parts) - len(first)
            found[name] = first
            if left_out:
                found[f"{name}LeftOut"] = left_out
        for index, name in enumerate(self.aggregate.maxima):
            last = [part.maxima[index][-1] for part in parts if part.maxima[index]]
            found[name] = max(last)[1] if last else None
        return found

    def recount(self) -> None:
        """Build all share anew from the rows."""
        self._shares.clear()
        for (namespace, name), row in self.rows.items():
            self._of(row.group, namespace).add(name, row)

    def _of(self, group: str, namespace: str) -> _Share:
        share = self._shares.setdefault(group, {}).get(namespace)
        if share is None:
            lists = [SortedList() for _ in self.aggregate.lists]
            maxima = [SortedList() for _ in self.aggregate.maxima]
            share = self._shares[group][namespace] = _Share({}, [0] * len(self.aggregate.counts), lists, maxima)
        return share

    def _leave(self, namespace: str, name: str, row: Row) -> None:
        share = self._shares[row.group][namespace]
        share.remove(name, row)
        if not share.members:
            del self._shares[row.group][namespace]
            if not self._shares[row.group]:
                del self._shares[row.group]
