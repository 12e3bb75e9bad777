"""Turns what pydantic says of a spec into faults in plain words, at the place of the key or value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.cel import Path
from engine.errors import Fault
from engine.model.spec import Spec
from engine.packs.document import Document
from engine.packs.wording import found, one_of, suggestion
from engine.packs.yamltext import MAX_FAULTS

CODE = "schema"
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


def spec_faults(error: ValidationError, model: type[Spec], raw: Any, document: Document, base: Path = ()) -> list[Fault]:
    """The faults of a spec that was read from `raw`, the value at `base` of a document."""
    faults: dict[tuple[Any, str], Fault] = {}
    for detail in error.errors(include_url=False)[:MAX_FAULTS]:
        fault = _fault(detail, model, raw, document, base)
        key = (fault.location, fault.message)
        before = faults.get(key)
        if before is not None and fault.expected not in before.expected:
            fault = Fault(fault.location, fault.message, f"{before.expected} or {fault.expected}")
        faults[key] = fault
    return [replace(fault, code=CODE) for fault in faults.values()]


def _fault(detail: ErrorDetails, model: type[Spec], raw: Any, document: Document, base: Path) -> Fault:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    at_key = detail["loc"][-1:] == ("[key]",)
    path = tuple(detail["loc"][:-1] if at_key else detail["loc"])
    known = tuple(_existing(path, raw))
    here = document.locate((*base, *known))
    if kind == "missing":
        return Fault(_opening(document, (*base, *known)), f"{str(path[-1])!r} is missing", _description(model, path))
    if kind == "extra_forbidden":
        key = str(path[-1])
        expected = suggestion(key, _keys_at(model, path[:-1]))
        return Fault(document.locate_key((*base, *path)), f"unknown key {key[:60]!r}", expected)
    if at_key:
        here = document.locate_key((*base, *path))
    if kind == "rulepack":
        return Fault(here, str(context["message"]), str(context["expected"]))
    if kind == "literal_error":
        return Fault(here, f"{found(value)} is not possible here", one_of(value, _choices(context)))
    if kind in _WANTED:
        return Fault(here, f"{found(value)} stands here", _WANTED[kind])
    if kind in _RANGES:
        message, expected = _RANGES[kind]
        return Fault(here, f"{found(value)} {message}", expected.format(**context))
    return Fault(here, str(context.get("error", detail["msg"])))


def _existing(path: Path, raw: Any) -> Iterator[str | int]:
    """The part of a path that is there; pydantic names the members of a union in it too."""
    for step in path:
        in_list = isinstance(raw, list) and isinstance(step, int) and step < len(raw)
        if not in_list and not (isinstance(raw, dict) and step in raw):
            return
        raw = raw[step]
        yield step


def _opening(document: Document, path: Path) -> Any:
    """Where something is missing from a mapping: at the mapping's own key, or at its beginning where it has none."""
    return document.locate_key(path) if path and isinstance(path[-1], str) else document.locate(path)


def _choices(context: dict[str, Any]) -> list[str]:
    """The members of a Literal, which pydantic gives as `'a', 'b' or 'c'`."""
    text = str(context["expected"]).replace(" or ", ", ")
    return [part.strip().strip("'") for part in text.split(", ")]


def _keys_at(model: type[Spec], path: Path) -> list[str]:
    annotation: Any = model
    for step in path:
        annotation = _inside(annotation, step)
    return [str(field.alias) for member in _members(annotation) for field in getattr(member, "model_fields", {}).values()]


def _description(model: type[Spec], path: Path) -> str:
    """A field's description, as what was expected."""
    annotation: Any = model
    for step in path[:-1]:
        annotation = _inside(annotation, step)
    for member in _members(annotation):
        for field in getattr(member, "model_fields", {}).values():
            if field.alias == path[-1] and field.description:
                text = " ".join(field.description.split()).rstrip(".")
                return text[0].lower() + text[1:]
    return ""


def _inside(annotation: Any, step: str | int) -> Any:
    for member in _members(annotation):
        for field in getattr(member, "model_fields", {}).values():
            if field.alias == step:
                return field.annotation
        if get_origin(member) in (list, dict):
            return get_args(member)[-1]
    return None


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation
