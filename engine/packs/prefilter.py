"""Finding the rules that can hold for an object without evaluating each: by what their conditions need in single fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.cel import Ask, Field, Program
from engine.model.objects import Object, dig


@dataclass(frozen=True, slots=True)
class Prefilter:
    """What an object must hold for a rule to do anything: a text in a field, if any, and fields that must be there."""

    field: Field | None = None
    texts: frozenset[str] = frozenset()
    there: frozenset[tuple[str, ...]] = frozenset()

    @classmethod
    def of(cls, when: Iterable[Program], vars: Mapping[str, Program], annotations: Mapping[str, str]) -> Prefilter:
        """Return what conditions cannot do without; `annotations` are those that inputs are parsed from, by the inputs' names."""
        asked = [ask for clause in when for ask in _of_object(clause.asks, vars, annotations)]
        there = frozenset(ask.field.path for ask in asked if ask.texts is None)
        for ask in asked:
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


def _of_object(asks: Iterable[Ask], vars: Mapping[str, Program], annotations: Mapping[str, str]) -> Iterator[Ask]:
    """Yield what is asked of fields of the object, also through vars and through the errors of inputs."""
    for ask in asks:
        match ask.field.path:
            case ("object", *path) if path and not ask.true:
                yield Ask(Field(tuple(path), ask.field.otherwise), ask.texts)
            case ("vars", name) if name in vars:
                others = {other: program for other, program in vars.items() if other != name}  # one may name itself
                yield from _of_object(_of_var(ask, vars[name]), others, annotations)
            case ("inputErrors", name) if ask.texts is None and name in annotations:
                yield Ask(Field(("metadata", "annotations", annotations[name])))


def _of_var(ask: Ask, var: Program) -> Sequence[Ask]:
    """Return what is asked of other fields by what is asked of a var."""
    if ask.true:
        return var.asks
    if var.field is None or (ask.texts is None and var.field.otherwise != ""):  # without it, there may be no answer
        return ()
    return (Ask(var.field, ask.texts),)
