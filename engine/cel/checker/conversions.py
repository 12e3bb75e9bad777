"""Values converted to another type, as the source that does it: of a literal the literal of the other type, else a call."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from engine.cel.checker.matching import named
from engine.cel.hints import of_duration
from engine.cel.syntax import Call, Expression, Literal, Node
from engine.cel.types import (
    BOOL,
    BYTES,
    CIDR,
    DOUBLE,
    DURATION,
    INT,
    IP,
    QUANTITY,
    SEMVER,
    STRING,
    TIMESTAMP,
    UINT,
    URL,
    Named,
    Type,
)

#: What makes a duration of a number of seconds.
_SECONDS = "seconds"
#: How a text begins that is one of these; any other begins with a digit.
_FORMS = {
    "timestamp": re.compile(r"\d{4}-"), "duration": re.compile(r"-?\d+(?:\.\d+)?(?:ns|us|ms|[smh])"),
    "semver": re.compile(r"v?\d"), "ip": re.compile(r"\d+\.|[\da-fA-F]*:"), "cidr": re.compile(r"[\da-fA-F.:]+/\d"), "url": re.compile(r"\w+://|/"),
}  # fmt: skip
#: What a value may be converted to, and by which function, the likeliest first.
_CONVERSIONS: dict[str, tuple[tuple[str, Named], ...]] = {
    STRING.name: (("timestamp", TIMESTAMP), ("duration", DURATION), ("int", INT), ("double", DOUBLE), ("quantity", QUANTITY),
                  ("ip", IP), ("url", URL), ("semver", SEMVER), ("cidr", CIDR), ("bool", BOOL)),
    INT.name: (("double", DOUBLE), ("uint", UINT), (_SECONDS, DURATION), ("string", STRING)),
    UINT.name: (("int", INT), ("double", DOUBLE), ("string", STRING)),
    DOUBLE.name: (("int", INT), ("string", STRING)),
    BOOL.name: (("string", STRING),),
    BYTES.name: (("string", STRING),),
}  # fmt: skip


def converted(
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
            text = conversion(expression, arguments[index], function)
            if text:
                yield [*kinds[:index], kind, *kinds[index + 1 :]], {index: text}
    strings = [index for index in order if short_name(kinds[index]) == STRING.name]
    for function, kind in _CONVERSIONS[STRING.name] if len(strings) > 1 else ():
        texts = {index: conversion(expression, arguments[index], function) for index in strings}
        if all(texts.values()):
            yield [kind if index in texts else each for index, each in enumerate(kinds)], texts


def short_name(kind: Type) -> str:
    """Return the name of a scalar's type; '' for any other."""
    found = named(kind)
    return found.name if found is not None and not found.parameters else ""


def conversion(expression: Expression, node: Node, function: str) -> str:
    """Return the text of a converted value: of a literal, the literal of the other type; '' where it cannot be one."""
    text = expression.text(node)
    if function == _SECONDS:
        return f"duration('{text}s')" if isinstance(node, Literal) else f"duration(string({text}) + 's')"
    value = node.value if isinstance(node, Literal) else None
    match function, value:
        case _, str():
            return _converted_text(value, text, function)
        case "string", bool() | int() | float():
            return f"'{json.dumps(value)}'"
        case "int", float():
            return ""
        case "double", int():
            return f"{value}.0"
    return f"{function}({text})"


def _converted_text(value: str, text: str, function: str) -> str:
    """Return the literal that a text stands for, or a call; '' where it stands for none."""
    if function in ("int", "double"):
        try:
            return str(int(value) if function == "int" else float(value))
        except ValueError:
            return ""
    if function == "bool":
        return value.lower() if value.lower() in ("true", "false") else ""
    if function == "duration" and (hours := of_duration(value)):
        return f"duration({hours})"
    form = _FORMS.get(function)
    return f"{function}({text})" if (form.match(value) if form else value[:1].isdigit()) else ""


def rewritten(expression: Expression, node: Call, texts: dict[int, str]) -> str:
    """Return the source of a call in which some arguments have other texts."""
    source, end = expression.source, node.end
    for index in sorted(texts, key=lambda each: -node.arguments[each].start):
        argument = node.arguments[index]
        source = source[: argument.start] + texts[index] + source[argument.end :]
        end += len(texts[index]) - (argument.end - argument.start)
    return " ".join(source[node.start : end].split())
