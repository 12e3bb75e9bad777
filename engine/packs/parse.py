"""From the text of a file to its rule packs, or to every fault in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from engine.cel import Cel, Compiled
from engine.errors import Fault, InvalidText, Location
from engine.packs.compile import compile_pack
from engine.packs.document import Document
from engine.packs.pack import RulePack
from engine.packs.salvage import salvaged
from engine.packs.schema import API_VERSION, RulePackSpec
from engine.packs.specfaults import spec_faults
from engine.packs.wording import found, one_of
from engine.packs.yamltext import MAX_FAULTS, read_yaml

LABEL = "rules.mlops.dev/rule-pack"
"""The label (value "true") of ConfigMaps that hold rule packs."""

GROUP = API_VERSION.partition("/")[0]
_KINDS = ("RulePack", "RulePackTest", "ConfigMap")


@dataclass(frozen=True, slots=True)
class ParsedPack:
    """A pack, the document it was read from, and each expression in it."""

    pack: RulePack
    document: Document
    expressions: Sequence[Compiled]


def parse_pack(text: str, file: str, cel: Cel) -> list[RulePack]:
    """The rule packs of a text, which may hold several documents; those of kind RulePackTest are passed over.

    Packs in the data of a ConfigMap manifest with the label `rules.mlops.dev/rule-pack` are found too. `file` names the
    text in every Location. Raises InvalidText, with every fault at once, and nothing else, whatever the text.
    """
    packs, faults = parse_text(text, file, cel)
    if faults:
        raise InvalidText(faults)
    return [parsed.pack for parsed in packs]


def parse_text(text: str, file: str, cel: Cel, *, manifests: bool = False) -> tuple[list[ParsedPack], list[Fault]]:
    """The packs of a text and its faults; see `parse_pack`. With `manifests`, it may hold objects of any other kind too."""
    packs: list[ParsedPack] = []
    faults: list[Fault] = []
    try:
        for document in read_yaml(text, lambda line, column: Location(file, line, column)):
            if not (manifests and _foreign(document.value)):
                _document(document, cel, packs, faults)
        faults += _same_names([parsed.pack for parsed in packs])
    except InvalidText as invalid:
        faults += invalid.faults
    except RecursionError:
        faults = [Fault(Location(file, 1, 1), "an expression or a value is nested too deep", "fewer levels")]
    return packs, sorted(set(faults), key=lambda fault: (fault.location, fault.message))[:MAX_FAULTS]


def _foreign(raw: Any) -> bool:
    """Whether a document is an object of somebody else's kind: neither group nor kind is one of ours, or nearly so."""
    if not isinstance(raw, dict) or not isinstance(raw.get("apiVersion"), str) or not isinstance(raw.get("kind"), str):
        return False
    group, kind = raw["apiVersion"].rpartition("/")[0], raw["kind"]
    return kind not in _KINDS and not get_close_matches(group, [GROUP], cutoff=0.8)


def _document(document: Document, cel: Cel, packs: list[ParsedPack], faults: list[Fault]) -> None:
    raw = document.value
    if not isinstance(raw, dict):
        expected = "a mapping with apiVersion, kind, metadata and spec"
        faults.append(Fault(document.locate(()), f"{found(raw)} stands here", expected, "schema"))
        return
    kind = raw.get("kind")
    if kind == "ConfigMap":
        _config_map(document, raw, cel, packs, faults)
    elif isinstance(kind, str) and kind not in _KINDS:
        faults.append(Fault(document.locate(("kind",)), f"{found(kind)} is not possible here", one_of(kind, _KINDS), "schema"))
    elif kind != "RulePackTest":
        _pack(document, raw, cel, packs, faults)


def _pack(document: Document, raw: dict[str, Any], cel: Cel, packs: list[ParsedPack], faults: list[Fault]) -> None:
    try:
        spec = RulePackSpec.model_validate(raw)
    except ValidationError as error:
        faults += spec_faults(error, RulePackSpec, raw, document)
        rest = salvaged(raw, error)
        faults += compile_pack(rest, document, cel).faults if rest else ()
        return
    compilation = compile_pack(spec, document, cel)
    faults += compilation.faults
    packs.append(ParsedPack(compilation.pack, document, compilation.expressions))


def _config_map(document: Document, raw: dict[str, Any], cel: Cel, packs: list[ParsedPack], faults: list[Fault]) -> None:
    metadata, data = raw.get("metadata"), raw.get("data")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(labels, dict) or labels.get(LABEL) != "true":
        return
    for key, text in data.items() if isinstance(data, dict) else ():
        if not key.endswith(".yaml"):
            continue
        if not isinstance(text, str):
            faults.append(Fault(document.locate(("data", key)), f"{found(text)} stands here", "a text, after '|'", "schema"))
            continue
        try:
            for inner in read_yaml(text, document.within(("data", key))):
                _document(inner, cel, packs, faults)
        except InvalidText as invalid:
            faults += invalid.faults


def _same_names(packs: list[RulePack]) -> list[Fault]:
    names: dict[str, RulePack] = {}
    faults = []
    for pack in packs:
        if names.setdefault(pack.name, pack) is not pack:
            faults.append(Fault(pack.place, f"a second pack {pack.name!r} in the same text", "each pack once"))
    return faults
