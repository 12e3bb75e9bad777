"""The CustomResourceDefinition of `kind: RuleLibrary`, and what its status holds."""

from __future__ import annotations

from typing import Any

from engine.packs.library import KIND, NAME_PATTERN, RuleLibrarySpec
from engine.packs.published import published_schema
from engine.packs.structural import CONDITIONS, Column, Named, count, definition, faults, structural

_NAMED = Named(KIND, "rl", NAME_PATTERN, "small letters and digits, a letter first")
STATUS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Whether packs can use the library, and which do; written by the operator.",
    "properties": {
        "observedGeneration": count("The generation of the spec that the operator has read."),
        "generationInForce": count(
            "The generation that is in force: an older one where the newest is refused; none where none is."
        ),
        "functionCount": count("How many functions are in force."),
        "functions": {
            "type": "array", "description": "The functions in force: how each is called.", "items": {"type": "string"},
            "x-kubernetes-list-type": "atomic",
        },
        "packCount": count(
            "How many packs call a function of it, also by way of another function: packs in force, and packs that wait for it."
        ),
        "packs": {
            "type": "array", "description": "The names of those packs.", "items": {"type": "string"},
            "x-kubernetes-list-type": "atomic",
        },
        "conditions": CONDITIONS,
        "faultCount": count("How many faults the spec has."),
        "faults": faults("What is wrong in the spec: the first ten."),
        "warningCount": count("How many things in the spec may not be meant."),
        "warnings": faults("What may not be meant, such as a name that hides a shipped library: the first ten."),
    },
}  # fmt: skip
COLUMNS = (
    Column("Functions", "integer", ".status.functionCount"),
    Column("Packs", "integer", ".status.packCount"),
    Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
    Column("Age", "date", ".metadata.creationTimestamp"),
)


def library_definition() -> dict[str, Any]:
    """Return the manifest of the CustomResourceDefinition."""
    published = published_schema(RuleLibrarySpec)
    spec = structural({"$ref": "#/$defs/LibrarySpec"}, published["$defs"])
    return definition(_NAMED, published["description"], spec, STATUS_SCHEMA, COLUMNS)
