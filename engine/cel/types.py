"""CEL's types as terms, and the text that functions declare their signatures in.

`list(string)` and `map(string, dyn)` are written as CEL writes them. A capital letter, as in `list(A).sum() -> A`, is a type
parameter: any type, but the same one wherever it stands in one call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from engine.errors import UsageError


@dataclass(frozen=True, slots=True)
class Named:
    """A type with a name, and the types of what it holds where it holds any: `int`, `list(string)`, `kubernetes.Quantity`."""

    name: str
    parameters: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parameters))})" if self.parameters else self.name


@dataclass(frozen=True, slots=True)
class Parameter:
    """A type parameter of a signature."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A map whose fields are known one by one, as an OpenAPI schema declares them.

    An `open` one may have further fields, of which nothing is known. Two are the same where their names are: a schema may
    refer to itself.
    """

    name: str
    fields: Mapping[str, Type] = field(compare=False)
    open: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class EnumType:
    """A string that is one of a few."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True, slots=True)
class UnionType:
    """A value of one of several types, such as a port by its number or its name; none of them is a union itself."""

    members: tuple[Type, ...]

    def __str__(self) -> str:
        return " or ".join(dict.fromkeys(map(short, self.members)))


Type = Union[Named, Parameter, ObjectType, EnumType, UnionType]  # noqa: UP007  # of names that stand below

DYN, NULL, BOOL, INT, UINT, DOUBLE = map(Named, ("dyn", "null_type", "bool", "int", "uint", "double"))
STRING, BYTES, TYPE = map(Named, ("string", "bytes", "type"))
TIMESTAMP, DURATION = Named("google.protobuf.Timestamp"), Named("google.protobuf.Duration")
LIST, MAP, OPTIONAL = Named("list"), Named("map"), Named("optional_type")
QUANTITY, URL, SEMVER, FORMAT = map(
    Named, ("kubernetes.Quantity", "kubernetes.URL", "kubernetes.Semver", "kubernetes.NamedFormat")
)
IP, CIDR = Named("net.IP"), Named("net.CIDR")

#: The types that signatures and `type()` name by a short name of their own.
SHORT: Mapping[str, Named] = {
    **{each.name: each for each in (DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TYPE, LIST, MAP)},
    "null": NULL, "timestamp": TIMESTAMP, "duration": DURATION, "optional": OPTIONAL, "quantity": QUANTITY, "url": URL,
    "semver": SEMVER, "format": FORMAT, "ip": IP, "cidr": CIDR,
}  # fmt: skip
#: The type names that an expression may use as values, such as `type(x) == int`.
TYPE_NAMES: Mapping[str, Named] = {
    each.name: each
    for each in (NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TYPE, LIST, MAP, TIMESTAMP, DURATION, OPTIONAL, QUANTITY, URL,
                 SEMVER, FORMAT, IP, CIDR)
}  # fmt: skip


def list_of(item: Type) -> Named:
    """The type of a list of such items."""
    return Named("list", (item,))


def map_of(key: Type, value: Type) -> Named:
    """The type of a map from such keys to such values."""
    return Named("map", (key, value))


def optional_of(value: Type) -> Named:
    """The type of an optional that holds such a value, or none."""
    return Named("optional_type", (value,))


@dataclass(frozen=True, slots=True)
class Signature:
    """The types that a function is called with, a method's receiver first, and the type that it gives.

    A `variadic` one takes its last argument any number of times, but at least once.
    """

    parameters: tuple[Type, ...]
    result: Type
    member: bool = False
    variadic: bool = False

    def text(self, name: str) -> str:
        """The signature as it is declared: `string.charAt(int) -> string`."""
        shown = [short(each) for each in self.parameters]
        receiver = f"{shown.pop(0)}." if self.member else ""
        return f"{receiver}{name}({', '.join(shown)}{'...' if self.variadic else ''}) -> {short(self.result)}"


_NAMES_SHORT = {each: name for name, each in SHORT.items()}
_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|[(),])")


def short(term: Type) -> str:
    """A type as signatures write it: `timestamp` for `google.protobuf.Timestamp`."""
    if not isinstance(term, Named):
        return str(term)
    name = _NAMES_SHORT.get(Named(term.name), term.name)
    return f"{name}({', '.join(map(short, term.parameters))})" if term.parameters else name


def signature(name: str, text: str) -> Signature:
    """The signature that a text declares for a function of that name: `string.name(int) -> string`, or `name(int) -> string`."""
    called, _, result = text.rpartition(" -> ")
    receiver, _, rest = called.partition(f"{name}(")
    inside = rest.removesuffix(")")
    variadic = inside.endswith("...")
    parameters = _terms(inside.removesuffix("..."))
    if receiver:
        parameters = [*_terms(receiver.removesuffix(".")), *parameters]
    return Signature(tuple(parameters), _terms(result)[0], bool(receiver), variadic)


def term(text: str) -> Named:
    """The type that a text names, such as `list(string)`. Raises UsageError where it names none, or a type parameter."""
    found = _terms(text) if re.fullmatch(r"[a-z]+(\([a-z(), ]*\))?", text) and text.count("(") == text.count(")") else []
    if len(found) == 1 and isinstance(found[0], Named):
        return found[0]
    raise UsageError(f"{text!r} is no type; expected one of {', '.join(sorted(SHORT))}")


def _terms(text: str) -> list[Type]:
    """The types of a text, separated by commas."""
    found: list[list[Type]] = [[]]
    names: list[str] = []
    tokens = _TOKEN.findall(text)
    for index, token in enumerate(tokens):
        if token == "(":
            found.append([])
        elif token == ")":
            inner = tuple(found.pop())
            found[-1].append(Named(_term(names.pop(), text).name, inner))
        elif token != ",":
            if tokens[index + 1 : index + 2] == ["("]:
                names.append(token)
            else:
                found[-1].append(_term(token, text))
    return found[0]


def _term(name: str, text: str) -> Named | Parameter:
    if len(name) == 1 and name.isupper():
        return Parameter(name)
    if name not in SHORT:
        raise UsageError(f"{text!r} names the type {name!r}; expected one of {', '.join(sorted(SHORT))}")
    return SHORT[name]
