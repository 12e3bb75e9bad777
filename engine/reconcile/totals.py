"""Groups of objects with running totals: constant work per change, however large a group is."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import copysign, inf, isfinite
from typing import Any

from sortedcontainers import SortedList

from engine.cel import Scope
from engine.errors import EvaluationError
from engine.model.merge import canonical
from engine.model.objects import ObjectKey
from engine.packs.aggregate import Aggregate


@dataclass(frozen=True, slots=True)
class Row:
    """What one object contributes: the group it belongs to, and a small value for each count, list, sum, minimum and maximum."""

    group: str
    counts: tuple[bool, ...]
    lists: tuple[str | None, ...]
    sums: tuple[int | float | None, ...]
    minima: tuple[Any, ...]
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
        tuple(_number(name, program.evaluate(scope)) for name, program in aggregate.sums.items()),
        tuple(_ordered("min", name, program.evaluate(scope)) for name, program in aggregate.minima.items()),
        tuple(_ordered("max", name, program.evaluate(scope)) for name, program in aggregate.maxima.items()),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def _number(name: str, value: Any) -> int | float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value)):
        raise EvaluationError(f"aggregate.sum.{name} gave {value!r}; expected a number or null")
    return value


def _ordered(part: str, name: str, value: Any) -> Any:
    """Numbers come before texts, so that any two values have an order."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise EvaluationError(f"aggregate.{part}.{name} gave {value!r}; expected a number, a text or null")
    return (isinstance(value, str), value)


@dataclass(slots=True)
class _Sum:
    """A sum that is exact whatever comes and goes; it is a double while a member has one."""

    total: Fraction = Fraction()
    doubles: int = 0

    def add(self, number: int | float | None, times: int) -> None:
        """Add a number, or take it away."""
        if number is not None:
            self.total += times * Fraction(number)
            self.doubles += times * isinstance(number, float)

    @property
    def value(self) -> int | float:
        """The sum as expressions see it; infinite where it is too large for a double."""
        try:
            return float(self.total) if self.doubles else int(self.total)
        except OverflowError:
            return copysign(inf, self.total)


@dataclass(slots=True)
class _Sums:
    """The running totals of the members of a group that count."""

    counts: list[int]
    lists: list[SortedList]
    sums: list[_Sum]
    minima: list[SortedList]
    maxima: list[SortedList]

    def add(self, row: Row) -> None:
        for index, counted in enumerate(row.counts):
            self.counts[index] += counted
        for total, number in zip(self.sums, row.sums, strict=True):
            total.add(number, 1)
        for values, value in self._sorted(row):
            values.add(value)

    def remove(self, row: Row) -> None:
        for index, counted in enumerate(row.counts):
            self.counts[index] -= counted
        for total, number in zip(self.sums, row.sums, strict=True):
            total.add(number, -1)
        for values, value in self._sorted(row):
            values.remove(value)

    def _sorted(self, row: Row) -> Iterator[tuple[SortedList, Any]]:
        lists, values = [*self.lists, *self.minima, *self.maxima], [*row.lists, *row.minima, *row.maxima]
        return ((values, value) for values, value in zip(lists, values, strict=True) if value is not None)


@dataclass(slots=True)
class _Group:
    """One group: who its members are, who of them counts and has yet to be asked for consent, and what it keeps.

    `asked_of` names the target as it was when all members were asked. `kept` holds values of lists that their members do not
    have any more, with the namespaces of these and when the values end.
    """

    sums: _Sums
    members: dict[ObjectKey, None] = field(default_factory=dict)
    counted: set[ObjectKey] = field(default_factory=set)
    unasked: set[ObjectKey] = field(default_factory=set)
    asked_of: tuple[str, str] = ("", "")
    kept: dict[tuple[int, str], tuple[str, float]] = field(default_factory=dict)

    def expire(self, now: float) -> None:
        if self.kept:
            self.kept = {key: (namespace, end) for key, (namespace, end) in self.kept.items() if end > now}


@dataclass(slots=True)
class Totals:
    """All groups of one aggregate rule. A member counts once it was admitted; times are seconds of the monotonic clock."""

    aggregate: Aggregate
    rows: dict[ObjectKey, Row] = field(default_factory=dict)
    _groups: dict[str, _Group] = field(default_factory=dict)

    def put(self, member: ObjectKey, row: Row | None, now: float = 0.0) -> Collection[str]:
        """Let an object contribute this row, and no other; returns the groups that are not what they were.

        A member that counts goes on to do so with its new row until it is asked again, which `unasked` wants.
        """
        before = self.rows.get(member)
        if before == row:
            if row is not None:
                self._groups[row.group].unasked.add(member)
            return ()
        admitted = False
        if before is not None:
            admitted = self._remove(member, before, row, now) and row is not None and row.group == before.group
        if row is None:
            self.rows.pop(member, None)
        else:
            self.rows[member] = row
            group = self._group(row.group)
            group.members[member] = None
            group.unasked.add(member)
            if admitted:
                group.counted.add(member)
                group.sums.add(row)
        for found in {row.group for row in (before, row) if row is not None}:
            self._forget_if_empty(found)
        return {found.group for found in (before, row) if found is not None}

    def keys(self) -> Collection[str]:
        """The groups that have members."""
        return [name for name, group in self._groups.items() if group.members]

    def has_members(self, group: str) -> bool:
        """Whether a group has members."""
        return group in self._groups and bool(self._groups[group].members)

    def unasked(self, group: str, target: tuple[str, str]) -> list[ObjectKey]:
        """The members to ask for consent: those that have changed, and all where the target is not what it was."""
        found = self._groups.get(group)
        if found is None:
            return []
        if found.asked_of != target:
            found.unasked |= found.members.keys()
            found.asked_of = target
        return sorted(found.unasked)

    def admit(self, group: str, member: ObjectKey, *, consents: bool) -> None:
        """Have a member count, or not. One that has gone meanwhile, or is in another group now, is left alone."""
        found, row = self._groups.get(group), self.rows.get(member)
        if found is None or row is None or row.group != group:
            return
        found.unasked.discard(member)
        if consents and member not in found.counted:
            found.counted.add(member)
            found.sums.add(row)
        elif not consents and member in found.counted:
            found.counted.discard(member)
            found.sums.remove(row)

    def namespaces(self, group: str, now: float = 0.0) -> frozenset[str]:
        """The namespaces of what counts in a group."""
        found = self._groups.get(group)
        if found is None:
            return frozenset()
        found.expire(now)
        self._forget_if_empty(group)
        return frozenset([*(member.namespace for member in found.counted), *(namespace for namespace, _ in found.kept.values())])

    def kept_until(self, group: str) -> float | None:
        """When the next of the values ends that a group keeps; None where it keeps none."""
        found = self._groups.get(group)
        return min((end for _, end in found.kept.values()), default=None) if found else None

    def view(self, group: str, now: float = 0.0) -> dict[str, Any]:
        """A group as expressions see it, of the members that count.

        A list holds its first values in order; where it has more than its limit, `<list>LeftOut` says how many are
        left out. A minimum or maximum without a value is null.
        """
        of = self._groups.get(group) or _Group(self._sums())
        of.expire(now)
        found: dict[str, Any] = dict(zip(self.aggregate.counts, of.sums.counts, strict=True))
        for index, (name, each) in enumerate(self.aggregate.lists.items()):
            values = of.sums.lists[index]
            kept = [value for at, value in of.kept if at == index and value not in values]
            first = list(values[: each.limit]) if not kept else sorted([*values[: each.limit], *kept])[: each.limit]
            left_out = len(values) + len(kept) - len(first)
            found[name] = first
            if left_out:
                found[f"{name}LeftOut"] = left_out
        found |= {name: total.value for name, total in zip(self.aggregate.sums, of.sums.sums, strict=True)}
        minima, maxima = (
            zip(self.aggregate.minima, of.sums.minima, strict=True),
            zip(self.aggregate.maxima, of.sums.maxima, strict=True),
        )
        found |= {name: values[0][1] if values else None for name, values in minima}
        found |= {name: values[-1][1] if values else None for name, values in maxima}
        return found

    def recount(self) -> None:
        """Build all totals anew from the rows."""
        for group in self._groups.values():
            group.sums = self._sums()
            for member in group.counted:
                group.sums.add(self.rows[member])

    def _remove(self, member: ObjectKey, before: Row, after: Row | None, now: float) -> bool:
        """Take a row away; return whether it counted. Values of it that are to be kept stay for their time."""
        group = self._groups[before.group]
        group.members.pop(member)
        group.unasked.discard(member)
        if member not in group.counted:
            return False
        group.counted.discard(member)
        group.sums.remove(before)
        for index, value in self._to_keep(before, after):
            group.kept[index, value] = member.namespace, now + list(self.aggregate.lists.values())[index].keep_for
        return True

    def _to_keep(self, before: Row, after: Row | None) -> Iterator[tuple[int, str]]:
        for index, each in enumerate(self.aggregate.lists.values()):
            value = before.lists[index]
            if each.keep_for and value is not None and (after is None or after.lists[index] != value):
                yield index, value

    def _group(self, name: str) -> _Group:
        if name not in self._groups:
            self._groups[name] = _Group(self._sums())
        return self._groups[name]

    def _sums(self) -> _Sums:
        of = self.aggregate
        lists, minima, maxima = ([SortedList() for _ in each] for each in (of.lists, of.minima, of.maxima))
        return _Sums([0] * len(of.counts), lists, [_Sum() for _ in of.sums], minima, maxima)

    def _forget_if_empty(self, name: str) -> None:
        group = self._groups.get(name)
        if group is not None and not group.members and not group.kept:
            del self._groups[name]
