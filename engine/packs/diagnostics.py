"""The faults of one document: those of its schema in plain words, and those found while it is bound, each with its location."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.cel import Cel, Compiled, Compiler, Path, Program
from engine.errors import Fault
from engine.model.spec import NO_VALUE, Spec
from engine.model.text import found, one_of, shown
from engine.packs import belongs, shapes
from engine.packs.belongs import fields_of_type, members
from engine.packs.document import Document
from engine.packs.jsonschemas import SchemaFault
from engine.packs.quotes import in_quotes
from engine.packs.yamltext import MAX_FAULTS

SCHEMA = "schema"
_WANTED = {
    "string_type": "a text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list", "dict_type": "a mapping", "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}  # fmt: skip
_RANGES = {
    "greater_than": ("is too small", "more than {gt:g}"),
    "greater_than_equal": ("is too small", "at least {ge:g}"),
    "less_than_equal": ("is too large", "at most {le:g}"),
    "string_too_short": ("is too short", "a text"),
    "too_short": ("is too short", "at least {min_length} of them"),
    "too_long": ("is too long", "at most {max_length} of them"),
}

_TAG = re.compile(r"<\w+>$")
"""What pydantic has in a path for the chosen one of several forms, as its type names it."""


class Diagnostics:
    """Collects the faults of a document, and what is compiled of it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._faults: list[Fault] = []
        self._compilers: list[Compiler] = []

    @property
    def faults(self) -> list[Fault]:
        """Return every fault so far, those of expressions included."""
        return [*self._faults, *(fault for compiler in self._compilers for fault in compiler.faults)]

    @property
    def expressions(self) -> list[Compiled]:
        """Return every expression that was compiled."""
        return [compiled for compiler in self._compilers for compiled in compiler.compiled]

    def compiler(self, cel: Cel, variables: Collection[str], vars: Mapping[str, Program] | None = None) -> Compiler:
        """Return a compiler of expressions that may name these variables and vars; its faults become the document's."""
        compiler = Compiler(cel, variables, self.document.locate, vars)
        self._compilers.append(compiler)
        return compiler

    def fault(self, path: Path, message: str, expected: str = "", *, at_key: bool = False, code: str = "declaration") -> None:
        """Add a fault of the value at a path, or of the key that the path ends with."""
        location = self.document.locate_key(path) if at_key else self.document.locate(path)
        self._faults.append(Fault(location, message, expected, code))

    def unique(self, names: Sequence[str], what: str, path: Path, below: Path = ()) -> None:
        """Add a fault for each name of the list at a path that an earlier item has; `below` leads from an item to its name."""
        for index, name in enumerate(names):
            if name and name in names[:index]:
                self.fault((*path, index, *below), f"a second {what} {name!r}", f"each {what} once")

    def value(self, faults: Iterable[SchemaFault], path: Path) -> None:
        """Add what is wrong, by a JSON Schema, in the value at a path."""
        for fault in faults:
            self.fault((*path, *fault.path), fault.message, fault.expected, at_key=fault.at_key)

    def spec(self, error: ValidationError, model: type[Spec], raw: Any, path: Path = ()) -> None:
        """Add what is wrong, by its schema class, in the value `raw` at a path."""
        self._faults += spec_faults(error, model, raw, self.document, path)


def spec_faults(error: ValidationError, model: type[Spec], raw: Any, document: Document, base: Path = ()) -> list[Fault]:
    """Return the faults of a spec that was read from `raw`, the value at `base` of a document."""
    faults: dict[tuple[Any, str, str], Fault] = {}
    for detail in error.errors(include_url=False)[:MAX_FAULTS]:
        fault = _fault(detail, model, raw, document, base)
        key = (fault.location, fault.location.inherited, fault.message)
        before = faults.get(key)
        if before is not None and fault.expected not in before.expected:
            fault = replace(fault, expected=f"{before.expected} or {fault.expected}")
        faults[key] = fault
    return [replace(fault, code=SCHEMA) for fault in faults.values()]


def _fault(detail: ErrorDetails, model: type[Spec], raw: Any, document: Document, base: Path) -> Fault:
    kind, steps = detail["type"], tuple(step for step in detail["loc"] if not _TAG.match(str(step)))
    at_key = steps[-1:] == ("[key]",)
    path = tuple(steps[:-1] if at_key else steps)
    written = tuple(_written(path, raw))
    if kind == "missing":
        above = (*base, *_existing(written, raw))  # at the key of the mapping that lacks it, or where it begins if it has none
        location = document.locate_key(above) if above and isinstance(above[-1], str) else document.locate(above)
        return Fault(location, f"{str(path[-1])!r} is missing", _description(model, path))
    if kind == "extra_forbidden":
        key = str(path[-1])
        known = [str(field.alias) for field in fields_of_type(_at(model, path[:-1])) if not field.json_schema_extra]
        expected = belongs.of_key(key, known, model, None if base else path[:-1])
        return Fault(document.locate_key((*base, *written)), f"unknown key {shown(key, 60)}", expected)
    if path and str(path[-1]).count("(") != str(path[-1]).count(")"):
        return Fault(document.locate_key((*base, *written)), "a comma ends the text before this", "quotes around the whole text")
    location = document.locate_key((*base, *written)) if at_key else document.locate((*base, *_existing(written, raw)))
    message, expected = _message(detail)
    form = shapes.of_value(kind, path, detail["input"], _at(model, path))
    if (
        not form
        and kind == "list_type"
        and isinstance(detail["input"], dict)
        and detail["input"]
        and _lists_mappings(_at(model, path))
    ):
        expected = f"a list: put '- ' before {shown(str(next(iter(detail['input']))), 60)}"
    if kind == "dict_type" and path[:2] == ("spec", "params") and len(path) == 3 and detail["input"] is not None:
        expected = belongs.of_declaration(str(path[2]), detail["input"])
    elif form and not (kind == "dict_type" and path[:2] == ("spec", "params") and len(path) == 3):
        expected = f"{expected}{form}"
    if kind == "string_type" and isinstance(detail["input"], dict) and (text := _split_at_colon(detail["input"])):
        message, expected = f"a mapping stands here, since ': ' begins one in {shown(text, 60)}", f"quotes: {in_quotes(text)}"
    if detail["input"] is None and kind in _WANTED and _optional(model, path):
        expected = f"{expected}; {NO_VALUE}"
    return Fault(location, message, expected)


def _split_at_colon(value: Mapping[Any, Any]) -> str:
    """Return the text that YAML has read as a mapping because of a colon in it, '' where a mapping was meant."""
    key, inside = next(iter(value.items()), ("", {}))
    scalar = isinstance(inside, str | bool | int | float)
    if len(value) != 1 or not scalar or not re.search(r"[\s(?]", str(key)):
        return ""
    return f"{key}: {str(inside).lower() if isinstance(inside, bool) else inside}"


#: What people call a verb of the API in other places -> the verb.
_CHOICES = {
    "remove": "delete", "destroy": "delete", "read": "get", "write": "patch", "modify": "patch", "apply": "patch",
    **dict.fromkeys(("error", "err", "warn", "critical", "failure"), "Warning"),
    **dict.fromkeys(("info", "success", "ok"), "Normal"), "edit": "patch", "add": "create", "new": "create",
    "replace": "update", "follow": "watch",
}  # fmt: skip

_CREATED = "Change, with oncePer: object.metadata.uid for once per object"
#: What people call an `event` in other places -> what to write.
_EVENTS = {
    **dict.fromkeys(("create", "created", "add", "added", "new"), _CREATED),
    **dict.fromkeys(("update", "updated", "modify", "modified", "edit", "patch"), "'Change'"),
    **dict.fromkeys(("deleted", "remove", "removed", "destroy"), "'Delete'"),
}


def _message(detail: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong with a value, and what was expected."""
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "rulepack":
        return str(context["message"]), str(context["expected"])
    if kind == "literal_error":
        choices = str(context["expected"]).replace(" or ", ", ").split(", ")  # pydantic gives `'a', 'b' or 'c'`
        if value in choices:  # a number is no text
            return f"{found(value)} is a text", f"{value} without quotes"
        if "'Change'" in choices and isinstance(value, str) and (event := _EVENTS.get(value.lower())):
            return f"{found(value)} is not possible here", event
        names = [choice.strip("'") for choice in choices]
        meant = _CHOICES.get(value.lower(), value) if isinstance(value, str) else value
        meant = next((name for name in names if isinstance(value, str) and name.lower() == value.lower()), meant)
        return f"{found(value)} is not possible here", one_of(meant, names)
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f"{found(value)} stands here", "a text: put it in quotes"
    if kind in _WANTED:
        return f"{found(value)} stands here", _WANTED[kind]
    if kind in _RANGES:
        message, expected = _RANGES[kind]
        return f"{found(value)} {message}", expected.format(**context)
    return str(context.get("error", detail["msg"])), ""


def _written(path: Path, raw: Any) -> Iterator[str | int]:
    """Yield a path without the indexes of lists that one value may stand for, where it does."""
    for step in path:
        if isinstance(step, int) and isinstance(raw, dict):
            continue
        yield step
        inside = isinstance(raw, list) and isinstance(step, int) and step < len(raw)
        raw = raw[step] if inside else raw.get(step) if isinstance(raw, dict) else None


def _existing(path: Path, raw: Any) -> Iterator[str | int]:
    """Yield the part of a path that is there; pydantic names the members of a union in it too."""
    for step in path:
        in_list = isinstance(raw, list) and isinstance(step, int) and step < len(raw)
        if not in_list and not (isinstance(raw, dict) and step in raw):
            return
        raw = raw[step]
        yield step


def _description(model: type[Spec], path: Path) -> str:
    """Return the first sentence of a field's description, as what was expected."""
    for field in fields_of_type(_at(model, path[:-1])):
        if field.alias == path[-1] and field.description:
            text = " ".join(field.description.split()).partition(". ")[0].rstrip(".")
            return text if text[1:2].isupper() else text[0].lower() + text[1:]
    return ""


def _optional(model: type[Spec], path: Path) -> bool:
    """Return whether a path is that of a key that need not be there."""
    return any(field.alias == path[-1] and not field.is_required() for field in fields_of_type(_at(model, path[:-1])) if path)


def _lists_mappings(annotation: Any) -> bool:
    """Return whether a type is that of a list of mappings."""
    items = [get_args(member)[-1] for member in members(annotation) if get_origin(member) is list]
    return any(get_origin(each) is dict or hasattr(each, "model_fields") for item in items for each in members(item))


def _at(annotation: Any, path: Path) -> Any:
    """Return the type at a path below a type."""
    for step in path:
        annotation = _inside(annotation, step)
    return annotation


def _inside(annotation: Any, step: str | int) -> Any:
    for field in fields_of_type(annotation):
        if field.alias == step:
            return field.annotation
    return next((get_args(member)[-1] for member in members(annotation) if get_origin(member) in (list, dict)), None)
