"""Whether types fit one another: values in comparisons, arguments and the signatures of functions, branches of a condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product

from engine.cel.syntax import ListOf, MapOf, Node
from engine.cel.types import DYN, MAP, NULL, STRING, TIMESTAMP, EnumType, Named, ObjectType, Parameter, Signature, Type, UnionType

_NUMBERS = frozenset(["int", "uint", "double"])
_NEVER_NULL = _NUMBERS | {"bool", "string", "bytes", "type", "list"}
#: How many combinations of the members of unions are tried for one call; with more, nothing is said of it.
_COMBINATIONS = 64
#: A `format: date-time` field: a timestamp in Kubernetes' CEL, and in JSON a text, which serves as both.
TIME_TEXT = UnionType((TIMESTAMP, STRING))


def members(kind: Type) -> tuple[Type, ...]:
    """Return the types that a value may have: those of a union, else the type itself."""
    return kind.members if isinstance(kind, UnionType) else (kind,)


def union(kinds: Iterable[Type]) -> Type:
    """Return the type of a value that has one of these types; dyn where one of them is, or there is none."""
    found = list(dict.fromkeys(member for kind in kinds for member in members(kind)))
    if not found or DYN in found:
        return DYN
    if STRING in found:
        found = [kind for kind in found if not isinstance(kind, EnumType)]
    return found[0] if len(found) == 1 else UnionType(tuple(found))


def joined(*values: tuple[Node, Type]) -> Type:
    """Return the type of a value that is one of these; `[]` and `{}` say nothing of what others of their kind hold."""
    kept = [(node, kind) for node, kind in values if not _is_empty(node)] or values
    shapes = {getattr(named(member), "name", "") for _, kind in kept for member in members(kind)}
    rest = (kind for node, kind in values if _is_empty(node) and getattr(named(kind), "name", "") not in shapes)
    return union([*(kind for _, kind in kept), *rest])


def _is_empty(node: Node) -> bool:
    return isinstance(node, ListOf | MapOf) and not node.children


def without_null(kind: Type) -> Type:
    """Return a type without null, where it may be anything else."""
    rest = [member for member in members(kind) if member != NULL]
    return union(rest) if rest else kind


def named(kind: Type) -> Named | None:
    """Return the type of CEL that a type is one of: a map for an object, a string for an enum; None for what may be several."""
    match kind:
        case Named():
            return kind
        case ObjectType():
            return Named("map", (STRING, DYN))
        case EnumType():
            return STRING
        case Parameter() | UnionType():
            return None


def comparable(one: Type, other: Type) -> bool:
    """Return whether values of two types can be equal."""
    return any(_comparable(left, right) for left in members(one) for right in members(other))


def _comparable(one: Type, other: Type) -> bool:
    left, right = named(one), named(other)
    if left is None or right is None or DYN in (left, right):
        return True
    if left.name in _NUMBERS:
        return right.name in _NUMBERS
    if NULL in (left, right):
        return left == right or ({left.name, right.name} - {NULL.name}).isdisjoint(_NEVER_NULL)
    return left.name == right.name and all(map(comparable, left.parameters, right.parameters))


def result_of(signatures: Sequence[Signature], arguments: Sequence[Type]) -> Type | None:
    """Return the type of a call by the signatures that take its arguments; None where none does."""
    combinations = list(islice(product(*map(members, arguments)), _COMBINATIONS + 1))
    if len(combinations) > _COMBINATIONS:
        return DYN
    results = [result for chosen in combinations for each in signatures if (result := _call(each, chosen)) is not None]
    return union(results) if results else None


def _call(signature: Signature, arguments: Sequence[Type]) -> Type | None:
    """Return the type that a signature gives for these arguments; None where it does not take them."""
    wanted = signature.parameters
    if signature.variadic:
        wanted = (*wanted[:-1], *[wanted[-1]] * (len(arguments) - len(wanted) + 1))
    bound: dict[str, Type] = {}
    if len(wanted) != len(arguments) or not all(_takes(term, kind, bound) for term, kind in zip(wanted, arguments, strict=True)):
        return None
    return _substituted(signature.result, bound)


def _takes(term: Type, kind: Type, bound: dict[str, Type]) -> bool:
    """Return whether a parameter takes an argument, and note what its type parameters stand for then."""
    if isinstance(term, Parameter):
        before = bound.get(term.name, DYN)
        if before == DYN:
            bound[term.name] = kind
        return comparable(before, kind)
    if isinstance(kind, UnionType):
        return any(_takes(term, member, bound) for member in kind.members)
    found = named(kind)
    if found is None or DYN in (found, term):
        return True
    if not isinstance(term, Named) or term.name != found.name:
        return False
    return all(_takes(inner, given, bound) for inner, given in zip(term.parameters, found.parameters, strict=False))


def _substituted(term: Type, bound: Mapping[str, Type]) -> Type:
    match term:
        case Parameter(name=name):
            return bound.get(name, DYN)
        case Named(name=name, parameters=parameters) if parameters:
            return Named(name, tuple(_substituted(each, bound) for each in parameters))
    return term


def elements(kind: Type) -> tuple[Type, Type] | None:
    """Return the types of the keys, or indexes, and of the values that a macro goes through; None where it cannot."""
    found = [pair for member in members(kind) if (pair := _elements(member)) is not None]
    return (union(key for key, _ in found), union(value for _, value in found)) if found else None


def _elements(kind: Type) -> tuple[Type, Type] | None:
    if isinstance(kind, ObjectType):
        return STRING, DYN
    match named(kind):
        case Named(name="dyn") | None:
            return DYN, DYN
        case Named(name="list", parameters=parameters):
            return Named("int"), parameters[0] if parameters else DYN
        case Named(name=MAP.name, parameters=parameters):
            return (parameters[0], parameters[1]) if parameters else (DYN, DYN)
    return None
