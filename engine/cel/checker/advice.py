"""What to write instead of an expression whose types do not fit: the same one with a conversion that makes them fit."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.cel.checker.conversions import conversion, converted, rewritten, short_name
from engine.cel.checker.matching import TIME_TEXT, comparable, elements, members, named, result_of, without_null
from engine.cel.jsonpath import of_key
from engine.cel.resolution import usage
from engine.cel.syntax import GIVEN, Call, Expression, ListOf, Literal, MapOf, Node, Select, Variable, field_path, key_test
from engine.cel.types import (
    BOOL,
    DOUBLE,
    DURATION,
    INT,
    NULL,
    QUANTITY,
    STRING,
    UINT,
    EnumType,
    Named,
    ObjectType,
    Signature,
    Type,
    short,
)

#: What a `format: date-time` field is compared with.
TIME = "a time such as 2026-01-24T22:30:00Z"
#: The empty value of a type.
_EMPTY = {STRING.name: "''", INT.name: "0", DOUBLE.name: "0.0", BOOL.name: "false"}


def article(kind: Type) -> str:
    """Return a type in a sentence: `an int`, `a string`, `an object`."""
    name = "object" if isinstance(kind, ObjectType) else short(kind)
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def of_call(expression: Expression, node: Call, kinds: Sequence[Type], signatures: Sequence[Signature]) -> str:
    """Return the call with an argument converted, so that one of the signatures takes it; else how it is called."""
    if (node.name == "_in_" and (found := _of_in(expression, node, kinds[1]))) or (found := _of_items(expression, node, kinds)):
        return found
    literal = any(isinstance(each, Literal) for each in node.arguments)
    if node.name == "_+_" and not literal and STRING in kinds and {*kinds} & {INT, UINT, DOUBLE, BOOL}:
        numbers = [index for index, kind in enumerate(kinds) if kind != STRING]
        return rewritten(expression, node, {index: f"string({expression.text(node.arguments[index])})" for index in numbers})
    if node.name in _ORDERS and QUANTITY in kinds:
        return _order_of_quantities(expression, node, kinds)
    if node.name in _ORDERS and (sides := _amounts(expression, node)):
        return _ORDERS[node.name].format(*sides)
    ordering = node.name in ("_<_", "_<=_", "_>_", "_>=_")  # texts are in another order than numbers: '5' > '41'
    for types, texts in converted(expression, node.arguments, kinds, texts_first=ordering):
        if result_of(signatures, types) is not None:
            return rewritten(expression, node, texts)
    if node.name[0].isalpha():
        return usage(node.name, member=node.method)
    return "a number" if node.name == "-_" else "two values that fit each other"


def fields_of_items(kind: Type) -> Collection[str]:
    """Return the fields of the objects that a list holds, by its type."""
    pair = elements(kind) if isinstance(kind, Named) and kind.name == "list" else None
    return pair[1].fields.keys() if pair is not None and isinstance(pair[1], ObjectType) else ()


def _naming(kind: Type) -> str:
    """Return the field that tells the objects of a list apart, '' where none does."""
    fields = fields_of_items(kind)
    if "type" in fields and "status" in fields:
        return "type"
    return "name" if "name" in fields else ""


def _of_in(expression: Expression, node: Call, kind: Type) -> str:
    """Return what to write instead of `in` of a text, or of a list of objects; '' for others."""
    item, items = (expression.text(each) for each in node.arguments)
    literal = node.arguments[1]
    if isinstance(literal, Literal) and isinstance(literal.value, str) and "," in literal.value:
        return f"{item} in {[each.strip() for each in literal.value.split(',')]}"
    if named(kind) == STRING:
        return f"{items}.contains({item})"
    field = _naming(kind)
    return f"{items}.exists(x, x.{field} == {item})" if field else ""


def _of_items(expression: Expression, node: Call, kinds: Sequence[Type]) -> str:
    """Return how to find an object of a list by its name, where it is taken for a map or for a list of names; '' for others."""
    field = _naming(kinds[0]) if node.name in ("_[_]", "indexOf", "lastIndexOf") else ""
    if not field or named(kinds[1]) != STRING:
        return ""
    items, key = (expression.text(each) for each in node.arguments[:2])
    return of_key(items, field, key) if node.name == "_[_]" else f"{items}.map(x, x.{field}).{node.name}({key})"


_SIZES = frozenset({"length", "len", "size", "count"})
_DURATIONS = {
    "hours": "{}.getHours()", "minutes": "{}.getMinutes()", "seconds": "{}.getSeconds()",
    "days": "{} > duration('24h'), for one day",
}  # fmt: skip


def of_field(expression: Expression, operand: Node, kind: Type, field: str) -> str:
    """Return what to write instead of a field of a value that has none."""
    text, items = expression.text(operand), fields_of_items(kind)
    if field in items:
        return f"{text}.exists(x, x.{field} == value), or {text}.map(x, x.{field})"
    if field.lower() not in _SIZES and (naming := _naming(kind)):
        return of_key(text, naming, f"'{field}'")
    if field.lower() in _SIZES and (kind == STRING or (isinstance(kind, Named) and kind.name == "list")):
        return f"size({text})"
    if field == "tag" and named(kind) == STRING:
        return f"{text}.split(':')[1], where there is a tag"
    if kind == DURATION and (form := _DURATIONS.get(field.lower())):
        return form.format(f"({text})" if " " in text else text)
    return "an object or a map"


#: How quantities are compared, which have no order of their own in Kubernetes.
_ORDERS = {
    "_<_": "{}.isLessThan({})", "_>_": "{}.isGreaterThan({})", "_<=_": "{}.compareTo({}) <= 0", "_>=_": "{}.compareTo({}) >= 0",
}  # fmt: skip


_RESOURCES = frozenset(["cpu", "memory", "storage", "ephemeral-storage"])


def _amounts(expression: Expression, node: Call) -> list[str]:
    """Return both sides of a comparison of an amount such as `limits.cpu` with a number, as quantities; none for others."""
    literals = [isinstance(each, Literal) and type(each.value) in (int, float) for each in node.arguments]
    if sum(literals) != 1 or not any(_last_key(each) in _RESOURCES for each in node.arguments):
        return []
    return [
        f"quantity('{expression.text(each)}')" if literal else f"quantity({expression.text(each)})"
        for each, literal in zip(node.arguments, literals, strict=True)
    ]


def _last_key(node: Node) -> str:
    match node:
        case Select(field=field):
            return field
        case Call(name="_[_]", arguments=(_, Literal(value=str(key)))):
            return key
    return ""


def _order_of_quantities(expression: Expression, node: Call, kinds: Sequence[Type]) -> str:
    texts = [
        expression.text(side) if kind == QUANTITY else conversion(expression, side, "quantity")
        for side, kind in zip(node.arguments, kinds, strict=True)
    ]
    return _ORDERS[node.name].format(*texts) if all(texts) else "two quantities"


#: The words of a condition's status. Source: kubernetes, apimachinery/pkg/apis/meta/v1, ConditionStatus.
_STATUS = {"'true'": "'True'", "'false'": "'False'"}


def of_comparison(expression: Expression, node: Call, kinds: Sequence[Type]) -> str:
    """Return the comparison with a side converted to the type of the other."""
    if TIME_TEXT in kinds:
        return TIME
    null = next((side for side, kind in enumerate(kinds) if kind == Named("null_type")), None)
    if null is not None:
        return _is_there(expression, node.arguments[1 - null], kinds[1 - null], there=node.name == "_!=_")
    for side, kind in enumerate(kinds):  # an object that may be null, such as a lookup
        if NULL in members(kind) and isinstance(without_null(kind), ObjectType):
            return f"{expression.text(node.arguments[side])} {node.name.strip('_')} null"
    flag = next((each for each in node.arguments if field_path(each)[:1] == ("flags",)), None)
    if flag is not None and BOOL in kinds:
        opposite = any(isinstance(each, Literal) and each.value is False for each in node.arguments)
        return f"{expression.text(flag)} {'!=' if (node.name == '_!=_') is not opposite else '=='} 'Enforce'"
    for types, texts in converted(expression, node.arguments, kinds):
        if comparable(*types):
            status = any(expression.text(each).endswith(".status") for each in node.arguments)  # of a condition: 'True', 'False'
            wanted = {at: _STATUS.get(text, text) if status else text for at, text in texts.items()}
            return rewritten(expression, node, wanted)
    return "two values of the same type"


def _is_there(expression: Expression, value: Node, kind: Type, *, there: bool) -> str:
    """Return what asks whether a value that is never null is there; where it always is, what compares it with an empty one."""
    key = ""
    match value:
        case Select(operand=Select(operand=Select(field="metadata"), field="labels" | "annotations") as mapping, field=field):
            key = f"'{field}'"
        case Call(name="_[_]", arguments=(mapping, argument)):
            key = expression.text(argument)
        case Select(operand=operand) if not (isinstance(operand, Variable) and operand.name in GIVEN):
            return f"{'' if there else '!'}has({expression.text(value)})"
    if key:
        test = key_test(expression.source, mapping, key)
        return test if there else f"!({test})"
    empty = _EMPTY.get(short_name(kind))
    return (
        f"{expression.text(value)} {'!=' if there else '=='} {empty}" if empty else "a value that may be null, or no comparison"
    )


def of_condition(expression: Expression, node: Node, kind: Type) -> str:
    """Return the condition that a value of another type was probably meant as."""
    text = expression.text(node)
    if isinstance(node, Literal | ListOf | MapOf):
        return "a condition (true or false)"
    if isinstance(kind, EnumType) and "True" in kind.values:  # the status of a condition
        return f"a condition, such as {text} == 'True'"
    if isinstance(kind, ObjectType) and isinstance(node, Select):
        return f"a condition, such as has({text})"
    match named(kind):
        case Named(name="int" | "uint" | "double"):
            return f"a condition, such as {text} > 0"
        case Named(name="string"):
            return f"a condition, such as {text} != ''"
        case Named(name="list" | "map") if not isinstance(node, Variable):
            return f"a condition, such as size({text}) > 0"
        case Named(name="optional_type"):
            return f"a condition, such as {text}.hasValue()"
    return "a condition (true or false)"


def of_loop(text: str, kind: Type) -> str:
    """Return the list that a value of another type was probably meant as."""
    match named(kind):
        case Named(name="map") if not isinstance(kind, ObjectType):
            return f"a list, such as {text}.map(key, key)"
        case Named(name="int"):
            return f"a list, such as lists.range({text})"
    return f"a list, such as [{text}]"


def of_metadata(expression: Expression, node: Call) -> str:
    """Return a call of `label` or `annotation` with the object itself in place of a part of it."""
    owner, key = node.arguments
    path = field_path(owner)
    if path[:1] == ("lookup",):
        path = path[:2]
    elif "metadata" in path:
        path = path[: path.index("metadata")]
    else:
        path = path[:1]
    return f"{node.name}({'.'.join(path) or 'object'}, {expression.text(key)})"
