"""The JSON Schema of what users write, with which editors complete keys, show their descriptions and mark faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from engine.actions import ACTIONS
from engine.model.spec import Spec
from engine.packs.fields import DURATION_PATTERN
from engine.packs.schema import RulePackSpec

_REF = "#/$defs/{model}"


def published_schema(model: type[Spec]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a document of that model; a rule pack's includes that of every action."""
    actions = {name: action.Schema for name, action in ACTIONS.items()} if model is RulePackSpec else {}
    models = [model, *actions.values()]
    _, definitions = models_json_schema([(each, "validation") for each in models], ref_template=_REF)
    defs = definitions["$defs"]
    root = defs.pop(model.__name__)
    if actions:
        defs["ActionEntry"] = _entry(actions)
        for part in ("actions", "rescue"):
            defs["RuleSpec"]["properties"][part]["items"] = {"$ref": _REF.format(model="ActionEntry")}
        # A rule may have its actions from the one that it extends.
        defs["RuleSpec"]["required"].remove("actions")
        defs["RuleSpec"]["anyOf"] = [{"required": ["actions"]}, {"required": ["extends"]}]
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **root, "$defs": dict(sorted(defs.items()))}
    for node in _nodes(schema):
        _tidy(node)
    return schema


def _entry(actions: dict[str, type[Spec]]) -> dict[str, Any]:
    """Return the schema of one entry of a list of actions: a condition, a name for the result, and exactly one action."""
    specs = {
        name: {"$ref": _REF.format(model=spec.__name__), "description": _first(spec.__doc__)} for name, spec in actions.items()
    }
    return {
        "type": "object",
        "description": "One action, with an optional condition and a name for its result.",
        "properties": {
            "when": {"type": "string", "description": "CEL condition: the action is left out where it is false."},
            "register": {
                "type": "string",
                "description": "The name under which later actions read its result: `results.<name>`.",
            },
            **specs,
        },
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in specs],
    }


def _tidy(node: dict[str, Any]) -> None:
    """Leave out what only repeats the key, and write durations and alternatives as users do."""
    for alternatives in [each["oneOf"] for each in node.get("anyOf", ()) if each.keys() == {"oneOf"}]:
        node["anyOf"] = [*alternatives, *(each for each in node["anyOf"] if each.keys() != {"oneOf"})]
    if isinstance(node.get("title"), str):
        del node["title"]
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(node["description"].split())
    if node.get("pattern") == DURATION_PATTERN:
        for keyword in ("exclusiveMinimum", "minimum"):
            node.pop(keyword, None)
        if isinstance(node.get("default"), float):
            node["default"] = f"{node['default']:g}s"


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)


def _first(text: str | None) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return " ".join((text or "").split("\n\n")[0].split())
