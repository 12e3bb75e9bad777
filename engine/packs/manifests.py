"""What stands in files of manifests beside what users write: lists of objects, and what the API server adds to an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from pydantic import ValidationError

from engine.errors import Fault, InvalidText, Location
from engine.model.flags import DISABLED, Mode
from engine.model.objects import dig
from engine.model.text import suggestion
from engine.packs.diagnostics import SCHEMA, spec_faults
from engine.packs.document import YamlDocument
from engine.packs.schema import API_VERSION, RulePackReferenceSpec
from engine.packs.sources import Text, shipped_settable
from engine.packs.yamltext import read_yaml

_LISTS = ("List", "RulePackList", "RuleLibraryList")
_OF_SERVER = frozenset([
    "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "selfLink", "managedFields", "ownerReferences", "finalizers",
])  # fmt: skip
"""Keys of metadata that say where an object is and what becomes of it, and nothing of a pack."""


def objects_in(document: YamlDocument) -> Iterator[YamlDocument]:
    """Yield the objects of a document as users would write them: those of a list, or the one that it is.

    Of the engine's own kinds they have neither a status nor what the API server keeps in metadata. What `kubectl get -o yaml`
    writes, and what kustomize and Helm make, has these.
    """
    value = document.value
    items = value.get("items") if isinstance(value, dict) and value.get("kind") in _LISTS else None
    if isinstance(items, list):
        for index, item in enumerate(items):
            yield from objects_in(document.part(("items", index), item))
    elif isinstance(value, dict) and str(value.get("apiVersion")) == API_VERSION:
        kept = {key: each for key, each in value.items() if key != "status"}
        if isinstance(metadata := value.get("metadata"), dict):
            kept["metadata"] = {key: each for key, each in metadata.items() if key not in _OF_SERVER}
        yield replace(document, value=kept, namespace=_namespace(value))
    else:
        yield replace(document, namespace=_namespace(value))


def same(one: str, other: str) -> bool:
    """Return whether two manifests may be of one namespace: one that names none is applied in any."""
    return not one or not other or one == other


def _namespace(value: Any) -> str:
    return str(dig(value, ("metadata", "namespace"), ""))


def is_reference(raw: Any) -> bool:
    """Return whether a document is a RulePack that stands for a pack whose text is elsewhere."""
    spec = dig(raw, ("spec",), None)
    return dig(raw, ("kind",), "") == "RulePack" and isinstance(spec, dict) and ("shipped" in spec or "configMap" in spec)


def reference_faults(document: YamlDocument) -> list[Fault]:
    """Return what is wrong with a reference by itself. Whether params fit their pack only the operator says, which has it."""
    spec = document.value["spec"]
    ways = [key for key in ("rules", "shipped", "configMap") if spec.get(key) is not None]
    if len(ways) > 1:
        message = f"{' and '.join(map(repr, ways))} stand here together"
        return [
            Fault(document.locate_key(("spec", ways[1])), message, "either rules and watch, or shipped, or configMap", SCHEMA)
        ]
    faults = _faults(document)
    name, mode, shipped = spec.get("shipped"), spec.get("mode"), _shipped()
    if isinstance(name, str) and name not in shipped:
        message = f"no pack {name!r} is shipped"
        faults.append(Fault(document.locate(("spec", "shipped")), message, suggestion(name, shipped), SCHEMA))
    if mode == Mode.OFF:  # the word of packs in files; kubectl reads it as false, and the schema of the kind does not have it
        message = f"{mode!r} is no mode of the kind RulePack"
        faults.append(Fault(document.locate(("spec", "mode")), message, DISABLED, SCHEMA))
    return faults


def _faults(document: YamlDocument) -> list[Fault]:
    """Return what is wrong with the keys and types of a reference."""
    try:
        RulePackReferenceSpec.model_validate(document.value)
    except ValidationError as error:
        return spec_faults(error, RulePackReferenceSpec, document.value, document)
    return []


def references_in(texts: Iterable[Text]) -> int:
    """Return how many references are in texts, with faults or without."""
    found = 0
    for text in texts:
        if "shipped" in text.text or "configMap" in text.text:
            try:
                written = read_yaml(text.text, partial(Location, text.file))
            except InvalidText:  # reported by who reads the packs
                continue
            found += sum(is_reference(document.value) for each in written for document in objects_in(each))
    return found


@cache
def _shipped() -> frozenset[str]:
    """Return the names of the packs that are shipped with this version."""
    return shipped_settable().packs
