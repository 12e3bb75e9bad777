"""CEL's macros: what looks like a call and is not, since it binds variables or reads the text of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from engine.cel.declarations import CEL, GO_BINDINGS, GO_COMPREHENSIONS, GO_LISTS, OPTIONALS
from engine.cel.syntax import Bind, Call, Comprehension, Has, Local, Node, Select, Variable, after_not, key_test
from engine.errors import ExpressionError


class Builder(Protocol):
    """What a macro needs of the parser."""

    source: str
    """The whole text."""

    def build(self, tree: Any, bound: Mapping[str, int] | None = None) -> Node:
        """The node of an argument, in which further variables are bound to slots."""
        ...

    def identifier(self, tree: Any) -> str | None:
        """The name that an argument consists of, None where it is something else."""
        ...

    def slot(self) -> int:
        """A slot for one more variable."""
        ...

    def error(self, message: str, at: int, expected: str = "") -> ExpressionError:
        """The fault of an offset."""
        ...


@dataclass(frozen=True, slots=True)
class Use:
    """A macro as it was written: its name, its span, and Lark's trees of what it is called on (None: nothing) and with."""

    name: str
    start: int
    end: int
    target: Any
    arguments: list[Any]


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro by how it is written; `counts` are the numbers of arguments that it takes. `example` is true."""

    name: str
    usage: str
    text: str
    example: str
    origin: str
    counts: tuple[int, ...]
    expand: Callable[[Builder, Use], Node]


def _variable(builder: Builder, use: Use, index: int) -> str:
    name = builder.identifier(use.arguments[index])
    if name is None:
        at = use.arguments[index].meta.start_pos
        raise builder.error(f"{use.name}() names its variable first", at, MACROS[use.name].usage)
    return name


def _has(builder: Builder, use: Use) -> Node:
    operand = builder.build(use.arguments[0])
    if not isinstance(operand, Select):
        raise builder.error("has() tests for a field", use.start, _instead_of_has(builder.source, use.start, operand))
    return Has(use.start, use.end, operand.operand, operand.field)


def _instead_of_has(source: str, start: int, operand: Node) -> str:
    """Return how to test for a key of a mapping, in the place of a `has()` that starts at an offset."""
    if isinstance(operand, Variable) and operand.name == "oldObject":
        return after_not(source, start, "oldObject != null")
    if isinstance(operand, Variable) and operand.name == "object":
        return "a field of it, such as has(object.status): object itself is always there"
    if not (isinstance(operand, Call) and operand.name == "_[_]"):
        return "has(a.b)"
    mapping, key = operand.arguments
    return after_not(source, start, key_test(source, mapping, source[key.start : key.end]))


def _comprehension(builder: Builder, use: Use) -> Node:
    """One with a variable; `all` and the like have two where there is one argument more."""
    if len(use.arguments) == 3 and use.name != "map":
        return _two_variables(builder, use)
    domain, slot = builder.build(use.target), builder.slot()
    name = _variable(builder, use, 0)
    *condition, body = [builder.build(argument, {name: slot}) for argument in use.arguments[1:]]
    macro = "exists_one" if use.name == "existsOne" else use.name
    return Comprehension(use.start, use.end, macro, domain, slot, body, condition[0] if condition else None)


def _two_variables(builder: Builder, use: Use) -> Node:
    domain, slot, second = builder.build(use.target), builder.slot(), builder.slot()
    names = _variable(builder, use, 0), _variable(builder, use, 1)
    if names[0] == names[1]:
        raise builder.error(f"{use.name}() names both of its variables {names[0]}", use.start, "two different names")
    bound = {names[0]: slot, names[1]: second}
    *condition, body = [builder.build(argument, bound) for argument in use.arguments[2:]]
    macro = "exists_one" if use.name == "existsOne" else use.name
    return Comprehension(use.start, use.end, macro, domain, slot, body, condition[0] if condition else None, second)


def _bind(builder: Builder, use: Use) -> Node:
    name, slot = _variable(builder, use, 0), builder.slot()
    value = builder.build(use.arguments[1])
    return Bind(use.start, use.end, slot, value, builder.build(use.arguments[2], {name: slot}))


def _optional_map(builder: Builder, use: Use) -> Node:
    """`target.hasValue() ? optional.of(expression of the value) : optional.none()`, with the target evaluated once."""
    target, slot = builder.build(use.target), builder.slot()
    name, inner = _variable(builder, use, 0), builder.slot()
    body = builder.build(use.arguments[1], {name: inner})
    at = use.start, use.end
    optional = Local(*at, use.name, slot)
    mapped: Node = Bind(*at, inner, Call(*at, "value", (optional,), method=True), body)
    if use.name == "optMap":
        mapped = Call(*at, "optional.of", (mapped,))
    tested = Call(*at, "_?_:_", (Call(*at, "hasValue", (optional,), method=True), mapped, Call(*at, "optional.none", ())))
    return Bind(*at, slot, target, tested)


def _sort_by(builder: Builder, use: Use) -> Node:
    """The list sorted by a second list, which holds the key of each item."""
    target, slot = builder.build(use.target), builder.slot()
    name, inner = _variable(builder, use, 0), builder.slot()
    body = builder.build(use.arguments[1], {name: inner})
    at = use.start, use.end
    items = Local(*at, use.name, slot)
    keys = Comprehension(*at, "map", items, inner, body)
    return Bind(*at, slot, target, Call(*at, "@sortByAssociatedKeys", (items, keys), method=True))


_LIST = (
    Macro("has", "has(object.status.phase)", "Whether a field is there.", "has({'a': 1}.a)", CEL, (1,), _has),
    Macro("all", "list.all(x, condition)", "Whether the condition is true of every item; `map.all(key, value, condition)` and "
          "`list.all(index, item, condition)` have two variables.", "[1, 2].all(x, x > 0)", CEL, (2, 3), _comprehension),
    Macro("exists", "list.exists(x, condition)", "Whether it is true of at least one; with two variables as `all`.",
          "[1, 2].exists(x, x == 2)", CEL, (2, 3), _comprehension),
    Macro("exists_one", "list.exists_one(x, condition)", "Whether it is true of exactly one.", "[1, 2].exists_one(x, x == 2)",
          CEL, (2,), _comprehension),
    Macro("existsOne", "list.existsOne(x, condition)", "Whether it is true of exactly one; with two variables as `all`.",
          "['a', 'b'].existsOne(i, x, i == 1 && x == 'b')", GO_COMPREHENSIONS, (2, 3), _comprehension),
    Macro("filter", "list.filter(x, condition)", "The items of which it is true.", "[1, 2].filter(x, x > 1) == [2]", CEL, (2,),
          _comprehension),
    Macro("map", "list.map(x, value)",
          "The value for each item; `list.map(x, condition, value)` for those of which it is true.",
          "[1, 2].map(x, x * 2) == [2, 4]", CEL, (2, 3), _comprehension),
    Macro("transformList", "map.transformList(key, value, result)", "A list of the result for each entry of a map, or for "
          "each index and item of a list; with a condition before the result, of those of which that is true.",
          "{'a': 1}.transformList(k, v, k + string(v)) == ['a1']", GO_COMPREHENSIONS, (3, 4), _two_variables),
    Macro("transformMap", "map.transformMap(key, value, result)", "A map with the same keys and the result for each; "
          "with a condition before the result, of those of which that is true.",
          "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}", GO_COMPREHENSIONS, (3, 4), _two_variables),
    Macro("transformMapEntry", "map.transformMapEntry(key, value, {newKey: newValue})", "A map of the entries that are given "
          "for each; with a condition before them, of those of which that is true.",
          "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}", GO_COMPREHENSIONS, (3, 4), _two_variables),
    Macro("sortBy", "list.sortBy(x, key)", "The items sorted by a key of each.", "['ab', 'c'].sortBy(x, size(x)) == ['c', 'ab']",
          GO_LISTS, (2,), _sort_by),
    Macro("optMap", "optional.optMap(x, value)", "An optional of the value for what an optional holds; none where that is none.",
          "optional.of(1).optMap(x, x + 1).value() == 2", OPTIONALS, (2,), _optional_map),
    Macro("optFlatMap", "optional.optFlatMap(x, optional)", "The same of an expression that is an optional itself.",
          "{'a': {'b': 1}}.?a.optFlatMap(x, x.?b).value() == 1", OPTIONALS, (2,), _optional_map),
    Macro("cel.bind", "cel.bind(x, value, expression)", "The expression, in which x is the value, evaluated once.",
          "cel.bind(x, 2, x * x) == 4", GO_BINDINGS, (3,), _bind),
)  # fmt: skip
MACROS: Mapping[str, Macro] = {macro.name: macro for macro in _LIST}
#: Those that are called like functions, not like methods.
GLOBAL = frozenset({"has", "cel.bind"})
