"""The prefilter before any CEL: which packs watch a field that has changed, and which of their rules can fire at all?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from engine.cel import Ask, Field, asked
from engine.model.objects import Kind, Object, dig, metadata
from engine.packs.inputs import Input
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.packs.watches import Selection

Path = tuple[str, ...]
Values = tuple[Any, ...]
_IGNORED = ("resourceVersion", "managedFields")


class Watchers:
    """Packs that see the same objects of a kind. What they watch is read once for all of them.

    Packs go by their index in `packs`. `params` are the values of their params, by their identities.
    """

    def __init__(self, kind: Kind, packs: Sequence[RulePack], params: Mapping[str, Mapping[str, Any]]) -> None:
        self.packs = packs
        watching: dict[Path, list[int]] = {}
        for index, pack in enumerate(packs):
            for path in pack.watches[kind].fields or ((),):
                watching.setdefault(path, []).append(index)
        self._fields = [(key, [path[1:] for path in paths]) for key, paths in groupby(sorted(watching), lambda path: path[:1])]
        self._watching = [frozenset(watching[path]) for path in sorted(watching)]
        self.everyone = frozenset(range(len(packs)))
        self.readers_of_old = frozenset(index for index, pack in enumerate(packs) if pack.reads_old)
        self.followers = [pack for pack in packs if pack.followed]
        self.end = [index for index, pack in enumerate(packs) if pack.ends]
        self.indexes = {pack.identity: index for index, pack in enumerate(packs)}
        rules = [(index, number) for index, pack in enumerate(packs) for number in range(len(pack.rules))]
        self._rules = tuple(rules)
        given = [params.get(pack.identity, {}) for pack in packs]
        self._index = RuleIndex.of(
            [Prefilter.of(packs[index].rules[number], packs[index].inputs, given[index]) for index, number in rules]
        )

    def values(self, obj: Object) -> Values:
        """Return what an object has in the fields that are watched; what they lie in is looked up once for all of them."""
        found: list[Any] = []
        for key, below in self._fields:
            if not key:
                found.append(_whole(obj))
                continue
            part = obj.get(key[0])
            for path in below:
                found.append(part.get(path[0]) if len(path) == 1 and type(part) is dict else dig(part, path))
        return tuple(found)

    def affected(self, before: Values, after: Values) -> frozenset[int]:
        """Return the packs that watch a field whose value is another one now."""
        found: frozenset[int] = frozenset()
        for packs, old, new in zip(self._watching, before, after, strict=True):
            if old is not new and old != new:
                found = found | packs if found else packs
        return found

    def candidates(self, obj: Object, changed: Collection[int]) -> dict[int, list[int]]:
        """Return, by pack, the numbers of the rules that an object does not rule out, of those packs in `changed`."""
        found: dict[int, list[int]] = {}
        for rule in self._index.candidates(obj):
            index, number = self._rules[rule]
            if index in changed:
                found.setdefault(index, []).append(number)
        return found


def watchers(kind: Kind, packs: Iterable[RulePack], params: Mapping[str, Mapping[str, Any]]) -> Sequence[Watchers]:
    """Return the packs that watch a kind, those together that pick their objects by the same labels."""
    by_selection: dict[Selection, list[RulePack]] = {}
    for pack in packs:
        by_selection.setdefault(pack.watches[kind].selection, []).append(pack)
    return [Watchers(kind, together, params) for together in by_selection.values()]


def _whole(obj: Object) -> Values:
    """All of an object but what changes at every write."""
    kept = {key: value for key, value in metadata(obj).items() if key not in _IGNORED}
    return (kept, *(value for key, value in sorted(obj.items()) if key != "metadata"))


@dataclass(frozen=True, slots=True)
class Prefilter:
    """What an object must hold for a rule to do anything: a text in a field, if any, and fields that must be there."""

    field: Field | None = None
    texts: frozenset[str] = frozenset()
    there: frozenset[tuple[str, ...]] = frozenset()

    @classmethod
    def of(cls, rule: Rule, inputs: Mapping[str, Input], params: Mapping[str, Any]) -> Prefilter:
        """Return what a rule's conditions cannot do without, with the params that its pack has now.

        That is nothing where it has something to do for other objects as well.
        """
        if rule.aggregate is not None or rule.resync is not None or rule.generates:
            return cls()
        annotations = {name: each.key(params) for name, each in inputs.items()}
        unbound = _of_object(asked(rule.when, rule.vars), annotations)
        asks = [bound for ask in unbound if (bound := _bound(ask, params)) is not None]
        there = frozenset(ask.field.path for ask in asks if ask.texts is None)
        for ask in asks:
            if ask.texts is not None:
                return cls(ask.field, ask.texts, there)
        return cls(there=there)


#: Rules, by their numbers, that need the same fields to be there.
_Group = tuple[frozenset[tuple[str, ...]], Sequence[int]]


@dataclass(frozen=True, slots=True)
class _Texts:
    """The rules that need one of some texts in a field."""

    field: Field
    by_text: Mapping[str, Sequence[_Group]]
    groups: Sequence[_Group]

    def open(self, obj: Object) -> Sequence[_Group]:
        """Return the rules that the text does not rule out; of a field without one all, so that no missing answer is hidden."""
        value = dig(obj, self.field.path, self.field.otherwise)
        return self.by_text.get(value, ()) if type(value) is str else self.groups


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """Rules by their prefilters; they go by their numbers in the order in which they were given."""

    groups: Sequence[_Group]
    texts: Sequence[_Texts]

    @classmethod
    def of(cls, filters: Iterable[Prefilter]) -> RuleIndex:
        """Return the index of rules with these prefilters."""
        rules = list(enumerate(filters))
        by_field: dict[Field, list[tuple[int, Prefilter]]] = {}
        for number, prefilter in rules:
            if prefilter.field is not None:
                by_field.setdefault(prefilter.field, []).append((number, prefilter))
        texts = [_Texts(field, _by_text(those), _grouped(those)) for field, those in by_field.items()]
        return cls(_grouped((number, prefilter) for number, prefilter in rules if prefilter.field is None), texts)

    def candidates(self, obj: Object) -> Sequence[int]:
        """Return the rules that the object does not rule out, in their order."""
        groups = [*self.groups]
        for texts in self.texts:
            groups += texts.open(obj)
        found: list[int] = []
        for there, numbers in groups:
            for path in there:
                if dig(obj, path) is None:
                    break
            else:
                found += numbers
        found.sort()
        return found


def _grouped(rules: Iterable[tuple[int, Prefilter]]) -> Sequence[_Group]:
    groups: dict[frozenset[tuple[str, ...]], list[int]] = {}
    for number, prefilter in rules:
        groups.setdefault(prefilter.there, []).append(number)
    return list(groups.items())


def _by_text(rules: Iterable[tuple[int, Prefilter]]) -> Mapping[str, Sequence[_Group]]:
    by_text: dict[str, list[tuple[int, Prefilter]]] = {}
    for number, prefilter in rules:
        for text in prefilter.texts:
            by_text.setdefault(text, []).append((number, prefilter))
    return {text: _grouped(those) for text, those in by_text.items()}


def _of_object(asks: Iterable[Ask], annotations: Mapping[str, str]) -> Iterator[Ask]:
    """Yield what is asked of fields of the object, also through the errors of inputs."""
    for ask in asks:
        match ask.field.path:
            case ("object", *path) if path and not ask.true:
                yield Ask(Field(tuple(path), ask.field.otherwise, ask.field.param), ask.texts)
            case ("inputErrors", name) if ask.texts is None and name in annotations:
                yield Ask(Field(("metadata", "annotations", annotations[name])))


def _bound(ask: Ask, params: Mapping[str, Any]) -> Ask | None:
    """Return what is asked of a field whose path a param completes; None where that is no key."""
    field = ask.field
    if not field.param:
        return ask
    key = params.get(field.param)
    return Ask(Field((*field.path, key), field.otherwise), ask.texts) if isinstance(key, str) else None
