"""What an expression asks for: what single fields must hold for it to be anything but false, known before it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.cel import documents
from engine.cel.syntax import Call, ListOf, Literal, Node, field_path

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a variable, and the text that the expression takes for it where it is not there.

    `param` names the parameter whose value is a last step of the path, '' where all of it is known.
    """

    path: Path
    otherwise: str | None = None
    param: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A field and the texts of which it must hold one (None: any but ''), or `true`, where it must be just that.

    A field that holds something else than a text may also mean that there is no answer.
    """

    field: Field
    texts: frozenset[str] | None = None
    true: bool = False


def asks(node: Node) -> Iterator[Ask]:
    """What a node asks for: where one of these is not met, it is false, whatever else it says."""
    match node:
        case Call(name="_&&_", arguments=parts):
            for part in parts:
                yield from asks(part)
        case Call(name="_||_", arguments=parts):
            yield from _either(parts)
        case Call(name="_==_", arguments=(value, Literal(value=str(text)))):
            yield from _holds(value, frozenset([text]))
        case Call(name="_in_", arguments=(value, ListOf(items=items))) if items:
            texts = [item.value for item in items if isinstance(item, Literal) and isinstance(item.value, str)]
            if len(texts) == len(items):
                yield from _holds(value, frozenset(texts))
        case Call(name="_!=_", arguments=(value, Literal(value=""))):
            if (field := field_of(value)) and (field.otherwise == "" or field.path[0] in ("vars", "inputErrors")):
                yield Ask(field)
        case _ if (field := field_of(node)) and field.path[0] == "vars":
            yield Ask(field, true=True)


def field_of(node: Node) -> Field | None:
    """The field that a node reads, None where it computes something else."""
    match node:
        case Call(name="get", arguments=(operand, Literal(value=str(steps)), Literal(value=default))):
            return _below(operand, documents.path_steps(steps), default if isinstance(default, str) else None)
        case Call(name="annotation" | "label" as name, arguments=(operand, Literal(value=str(key)))):
            return _below(operand, ("metadata", f"{name}s", key), "")
        case Call(name="annotation" | "label" as name, arguments=(operand, key)):
            field, param = _below(operand, ("metadata", f"{name}s"), ""), field_path(key)
            if field and param[:1] == ("params",) and len(param) == 2:
                return replace(field, param=param[1])
            return None
    return _below(node, (), None)


def _below(operand: Node, steps: Path, otherwise: str | None) -> Field | None:
    path = field_path(operand)
    return Field((*path, *steps), otherwise) if path else None


def _holds(value: Node, texts: frozenset[str]) -> Iterator[Ask]:
    if field := field_of(value):
        yield Ask(field, texts)


def _either(parts: tuple[Node, ...]) -> Iterator[Ask]:
    """What all parts ask for of the same field: one of the texts that any of them takes."""
    first, *others = [{ask.field: ask.texts for ask in asks(part) if ask.texts} for part in parts]
    for field, texts in first.items():
        if all(field in other for other in others):
            yield Ask(field, texts.union(*(other[field] for other in others)))
