"""How a function is declared: once, with its signatures, what computes it, what it costs, what it is for, where it is from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.cel.times import to_timestamp
from engine.cel.types import TIMESTAMP, Signature, short, signature
from engine.cel.values import Mismatch, python_types, type_name
from engine.model.mappings import is_mapping

Compute = Callable[..., Any]
Cost = Callable[..., int]

#: Where functions come from, as the reference says it.
CEL = "CEL"
GO_STRINGS = "cel-go's strings library"
GO_LISTS = "cel-go's lists library"
GO_SETS = "cel-go's sets library"
GO_MATH = "cel-go's math library"
GO_ENCODERS = "cel-go's encoders library"
GO_BINDINGS = "cel-go's bindings library"
GO_COMPREHENSIONS = "cel-go's two-variable comprehensions library"
OPTIONALS = "CEL's optional types"
KUBERNETES_LISTS = "Kubernetes' list library (1.23)"
KUBERNETES_INCLUDES = "Kubernetes' list library (1.37)"
KUBERNETES_REGEX = "Kubernetes' regex library (1.23)"
KUBERNETES_URL = "Kubernetes' URL library (1.23)"
KUBERNETES_QUANTITY = "Kubernetes' quantity library (1.28)"
KUBERNETES_IP = "Kubernetes' IP library (1.30)"
KUBERNETES_CIDR = "Kubernetes' CIDR library (1.30)"
KUBERNETES_FORMAT = "Kubernetes' format library (1.31)"
KUBERNETES_SEMVER = "Kubernetes' semver library (1.33)"
ENGINE = "the engine"


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of a function, and what computes it. That raises Mismatch where there is no answer."""

    signature: Signature
    compute: Compute

    def takes(self, kinds: Sequence[type]) -> bool:
        """Whether it is defined on values of these Python classes."""
        wanted = self.signature.parameters
        if self.signature.variadic:
            wanted = (*wanted[:-1], *[wanted[-1]] * (len(kinds) - len(wanted) + 1))
        return len(kinds) == len(wanted) and all(
            (classes := python_types(term)) is None or kind in classes for term, kind in zip(wanted, kinds, strict=True)
        )

    def with_times(self, kinds: Sequence[type]) -> Overload | None:
        """Return the overload that takes a text where this one takes a time; None where that does not take these classes.

        A `format: date-time` field is a timestamp in Kubernetes' CEL, and a text in the JSON of an object.
        """
        if len(kinds) != len(self.signature.parameters):
            return None
        texts = [kind is str and term == TIMESTAMP for kind, term in zip(kinds, self.signature.parameters, strict=True)]
        if not any(texts) or not self.takes([datetime if text else kind for kind, text in zip(kinds, texts, strict=True)]):
            return None

        def compute(*arguments: Any) -> Any:
            return self.compute(*(to_timestamp(each) if text else each for each, text in zip(arguments, texts, strict=True)))

        return Overload(self.signature, compute)


@dataclass(frozen=True, slots=True)
class Function:
    """What is declared of a function; a name may be declared by several libraries, for different types.

    `example` is an expression that is true. `cost` says what a call costs by its arguments, in the units of `budget`.
    """

    name: str
    text: str
    example: str
    origin: str
    overloads: tuple[Overload, ...]
    cost: Cost | None = None


def function(
    name: str, text: str, example: str, origin: str, overloads: Mapping[str, Compute], cost: Cost | None = None
) -> Function:
    """A function by its signatures, each with what computes it."""
    declared = tuple(Overload(signature(name, each), compute) for each, compute in overloads.items())
    return Function(name, text, example, origin, declared, cost)


Chosen = tuple[Compute, Cost | None]


class Caller:
    """Chooses what computes a function, and what that costs, by the classes of the arguments."""

    __slots__ = ("_chosen", "_functions", "member", "name")

    def __init__(self, name: str, functions: Sequence[Function], member: bool) -> None:
        self.name, self.member, self._functions = name, member, functions
        self._chosen: dict[tuple[type, ...], Chosen] = {}

    @property
    def chosen(self) -> Mapping[tuple[type, ...], Chosen]:
        """What was chosen before."""
        return self._chosen

    def choose(self, *arguments: Any) -> Chosen:
        """What computes it for such arguments. Raises Mismatch where nothing does."""
        kinds = tuple(map(type, arguments))
        plain = [dict if is_mapping(argument) else kind for argument, kind in zip(arguments, kinds, strict=True)]
        for one in self._functions:
            for each in one.overloads:
                if each.signature.member is self.member and each.takes(plain):
                    return self._choose(kinds, each, one.cost)
        for one in self._functions:
            for each in one.overloads:
                if each.signature.member is self.member and (timed := each.with_times(plain)):
                    return self._choose(kinds, timed, None)
        raise Mismatch(self._unfit(*map(type_name, arguments)))

    def _choose(self, kinds: tuple[type, ...], overload: Overload, cost: Cost | None) -> Chosen:
        self._chosen[kinds] = chosen = overload.compute, cost
        return chosen

    def _unfit(self, first: str = "", *others: str) -> str:
        if not self.name[0].isalpha():
            return f"'{self.name.strip('_')}' does not work on {' and '.join((first, *others))}"
        if not self.member:
            return f"{self.name}() does not {'take' if others else 'work on'} {', '.join((first, *others)) or 'nothing'}"
        receivers = dict.fromkeys(
            short(each.signature.parameters[0]) for one in self._functions for each in one.overloads if each.signature.member
        )
        if not any(each.startswith(first) or len(each) == 1 for each in receivers):
            return f"{self.name}() works on a {' or '.join(receivers)}, not on {first}"
        return f"{self.name}() does not take ({', '.join(others)})"


class Table(Mapping[str, Sequence[Function]]):
    """All functions by name; several declarations of a name are one function with the overloads of each."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self._by_name: dict[str, list[Function]] = {}
        for each in functions:
            self._by_name.setdefault(each.name, []).append(each)
        self._callers: dict[tuple[str, bool], Caller] = {}

    def __getitem__(self, name: str) -> Sequence[Function]:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def overloads(self, name: str, *, member: bool) -> list[Overload]:
        """The overloads of a name that are called as a method (`member`), or as a function."""
        return [each for one in self._by_name.get(name, ()) for each in one.overloads if each.signature.member is member]

    def caller(self, name: str, *, member: bool = False) -> Caller:
        """What chooses among the overloads of a name. Raises KeyError where there is no such function."""
        key = name, member
        if key not in self._callers:
            self._callers[key] = Caller(name, self._by_name[name], member)
        return self._callers[key]
