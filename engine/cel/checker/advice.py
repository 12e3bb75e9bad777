"""What to write instead of an expression whose types do not fit: the same one with a conversion that makes them fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from engine.cel.checker.matching import TIME_TEXT, comparable, named, result_of
from engine.cel.resolution import usage
from engine.cel.syntax import Call, Expression, ListOf, Literal, MapOf, Node, Variable
from engine.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    QUANTITY,
    STRING,
    TIMESTAMP,
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
#: What a value may be converted to, and by which function, the likeliest first.
_CONVERSIONS: dict[str, tuple[tuple[str, Named], ...]] = {
    STRING.name: (("timestamp", TIMESTAMP), ("duration", DURATION), ("int", INT), ("double", DOUBLE), ("quantity", QUANTITY),
                  ("bool", BOOL)),
    INT.name: (("double", DOUBLE), ("uint", UINT), ("string", STRING)),
    UINT.name: (("int", INT), ("double", DOUBLE), ("string", STRING)),
    DOUBLE.name: (("int", INT), ("string", STRING)),
    BOOL.name: (("string", STRING),),
    BYTES.name: (("string", STRING),),
}  # fmt: skip


def article(kind: Type) -> str:
    """Return a type in a sentence: `an int`, `a string`, `an object`."""
    name = "object" if isinstance(kind, ObjectType) else short(kind)
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def of_call(expression: Expression, node: Call, kinds: Sequence[Type], signatures: Sequence[Signature]) -> str:
    """Return the call with an argument converted, so that one of the signatures takes it; else how it is called."""
    if node.name == "_in_" and named(kinds[1]) == STRING:
        return f"{expression.text(node.arguments[1])}.contains({expression.text(node.arguments[0])})"
    ordering = node.name in ("_<_", "_<=_", "_>_", "_>=_")  # texts are in another order than numbers: '5' > '41'
    for converted, texts in _converted(expression, node.arguments, kinds, texts_first=ordering):
        if result_of(signatures, converted) is not None:
            return _rewritten(expression, node, texts)
    if node.name[0].isalpha():
        return usage(node.name, member=node.method)
    return "a number" if node.name == "-_" else "two values that fit each other"


#: The words of a condition's status. Source: kubernetes, apimachinery/pkg/apis/meta/v1, ConditionStatus.
_STATUS = {"'true'": "'True'", "'false'": "'False'"}


def of_comparison(expression: Expression, node: Call, kinds: Sequence[Type]) -> str:
    """Return the comparison with a side converted to the type of the other."""
    if TIME_TEXT in kinds:
        return TIME
    null = next((side for side, kind in enumerate(kinds) if kind == Named("null_type")), None)
    if null is not None:
        value = expression.text(node.arguments[1 - null])
        return f"{'!' if node.name == '_==_' else ''}has({value})"
    for converted, texts in _converted(expression, node.arguments, kinds):
        if comparable(*converted):
            status = any(expression.text(each).endswith(".status") for each in node.arguments)  # of a condition: 'True', 'False'
            wanted = {at: _STATUS.get(text, text) if status else text for at, text in texts.items()}
            return _rewritten(expression, node, wanted)
    return "two values of the same type"


def of_condition(expression: Expression, node: Node, kind: Type) -> str:
    """Return the condition that a value of another type was probably meant as."""
    text = expression.text(node)
    if isinstance(node, Literal | ListOf | MapOf):
        return "a condition (true or false)"
    if isinstance(kind, EnumType) and "True" in kind.values:  # the status of a condition
        return f"a condition, such as {text} == 'True'"
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


def _converted(
    expression: Expression, arguments: Sequence[Node], kinds: Sequence[Type], *, texts_first: bool = False
) -> Iterator[tuple[list[Type], dict[int, str]]]:
    """Yield the types with one argument converted, and its new text; then with all texts converted at once.

    Literals come first and then texts, or the other way round.
    """
    literals = [not isinstance(argument, Literal) for argument in arguments]
    others = [short_name(kind) != STRING.name for kind in kinds]
    ranks = zip(others, literals, strict=True) if texts_first else zip(literals, others, strict=True)
    order = [index for _, index in sorted(zip(ranks, range(len(kinds)), strict=True))]
    for index in order:
        for function, kind in _CONVERSIONS.get(short_name(kinds[index]), ()):
            text = _conversion(expression, arguments[index], function)
            if text:
                yield [*kinds[:index], kind, *kinds[index + 1 :]], {index: text}
    strings = [index for index in order if short_name(kinds[index]) == STRING.name]
    for function, kind in _CONVERSIONS[STRING.name] if len(strings) > 1 else ():
        texts = {index: _conversion(expression, arguments[index], function) for index in strings}
        if all(texts.values()):
            yield [kind if index in texts else each for index, each in enumerate(kinds)], texts


def short_name(kind: Type) -> str:
    """Return the name of a scalar's type; '' for any other."""
    found = named(kind)
    return found.name if found is not None and not found.parameters else ""


def _conversion(expression: Expression, node: Node, function: str) -> str:
    """Return the text of a converted value: of a literal, the literal of the other type; '' where it cannot be one."""
    if not isinstance(node, Literal):
        return f"{function}({expression.text(node)})"
    value = node.value
    if function == "string" and isinstance(value, bool | int | float):
        return f"'{json.dumps(value)}'"
    if function == "int" and isinstance(value, float):
        return ""
    if not isinstance(value, str):
        return f"{value}.0" if function == "double" and type(value) is int else f"{function}({expression.text(node)})"
    try:
        match function:
            case "int":
                return str(int(value))
            case "double":
                return str(float(value))
            case "bool":
                return value if value in ("true", "false") else ""
    except ValueError:
        return ""
    return f"{function}({expression.text(node)})" if value[:1].isdigit() else ""


def _rewritten(expression: Expression, node: Call, texts: dict[int, str]) -> str:
    """Return the source of a call in which some arguments have other texts."""
    source, end = expression.source, node.end
    for index in sorted(texts, key=lambda each: -node.arguments[each].start):
        argument = node.arguments[index]
        source = source[: argument.start] + texts[index] + source[argument.end :]
        end += len(texts[index]) - (argument.end - argument.start)
    return " ".join(source[node.start : end].split())
