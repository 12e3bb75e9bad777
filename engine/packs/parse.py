"""From the text of a file to the specs of its rule packs, and from those to packs, or to every fault in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.cel import Backend, Cel, Compiled
from engine.errors import Fault, InvalidText, Location
from engine.model.text import found, one_of
from engine.packs.bind import bind_pack
from engine.packs.configmaps import documents_within
from engine.packs.diagnostics import SCHEMA, spec_faults
from engine.packs.document import Document, ObjectDocument, YamlDocument
from engine.packs.extends import extended, merged
from engine.packs.fields import Verb
from engine.packs.libraries import Libraries, read_libraries, shipped_libraries
from engine.packs.library import KIND as LIBRARY
from engine.packs.manifests import is_reference, objects_in, reference_faults, same
from engine.packs.pack import RulePack
from engine.packs.rule_schema import RuleSpec
from engine.packs.schema import API_VERSION, PackSpec, ReferenceSpec, RulePackReferenceSpec, RulePackSpec
from engine.packs.sources import PackObject, Text
from engine.packs.yamltext import MAX_FAULTS, read_yaml

LARGE = 5_000
"""Characters of rule packs that take some 50 ms to compile, and to check: too long for the event loop."""

GROUP = API_VERSION.partition("/")[0]
_KINDS = ("RulePack", "RulePackTest", "RuleLibrary", "RuleLibraryTest", "ConfigMap")
_ELSEWHERE = ("RulePackTest", "RuleLibrary", "RuleLibraryTest")
"""What is read by others."""


@dataclass(frozen=True, slots=True)
class ParsedPack:
    """A pack, the document it was read from, and each expression in it."""

    pack: RulePack
    document: Document
    expressions: Sequence[Compiled]


def parse_pack(text: str, file: str, cel: Backend, namespace: str = "", libraries: Libraries | None = None) -> list[RulePack]:
    """Return the rule packs of a text, which may hold several documents; tests and libraries are passed over.

    Packs in the data of a ConfigMap manifest with the label `rules.mlops.dev/rule-pack` are found too. `file` names the
    text in every Location; `namespace` is the packs' own, '' where that is the operator's, or they are shipped; `libraries`
    hold the functions that expressions may call: where left out, those of the text itself and the shipped ones.
    Raise InvalidText, with every fault at once, and nothing else, whatever the text.
    """
    packs, faults = parse_text(text, file, cel, namespace=namespace, libraries=libraries)
    if faults:
        raise InvalidText(faults)
    return [parsed.pack for parsed in packs]


def parse_text(
    text: str, file: str, cel: Backend, *, namespace: str = "", manifests: bool = False, libraries: Libraries | None = None
) -> tuple[list[ParsedPack], list[Fault]]:
    """Return the packs of a text and its faults; see `parse_pack`.

    With `manifests`, other objects may stand in it too, lists of objects, references, which are no packs, and what the API server
    adds to an object.
    """
    packs: list[ParsedPack] = []
    faults: list[Fault] = []
    named: list[tuple[str, RulePack]] = []
    if libraries is None and LIBRARY in text:
        libraries = read_libraries([Text(file, text, file)], cel)
        faults += libraries.faults
    linked = _linked(cel, libraries)
    try:
        for written in read_yaml(text, partial(Location, file)):
            for document in objects_in(written) if manifests else [written]:
                for inner in _pack_documents(document, faults, manifests=manifests):
                    before = len(packs)
                    _bind(inner, linked, namespace, packs, faults)
                    named += [(document.namespace, parsed.pack) for parsed in packs[before:]]
        faults += _same_names(named)
    except InvalidText as invalid:
        faults += invalid.faults
    except RecursionError:
        faults = [Fault(Location(file, 1, 1), "an expression or a value is nested too deep", "fewer levels")]
    return packs, _sorted(faults)


def parse_object(obj: PackObject, cel: Backend, libraries: Libraries | None = None) -> RulePack:
    """Return the pack of an object of kind RulePack. Raise InvalidText with every fault, located by path."""
    packs, faults = parse_spec(obj, cel, libraries)
    if faults:
        raise InvalidText(faults)
    return packs[0].pack


def parse_spec(obj: PackObject, cel: Backend, libraries: Libraries | None = None) -> tuple[list[ParsedPack], list[Fault]]:
    """Return the pack of an object of kind RulePack, and its faults, located by path."""
    packs: list[ParsedPack] = []
    faults: list[Fault] = []
    doubtful: list[Fault] = []
    linked = _linked(cel, libraries)
    try:
        _bind(_document(obj, obj.spec), linked, "", packs, faults)
        if obj.whole is not None:
            _bind(_document(obj, obj.whole), linked, "", [], doubtful)
            faults += obj.of_nulls(doubtful)
    except RecursionError:
        faults = [Fault(Location(obj.file, 1, 1, "spec"), "an expression or a value is nested too deep", "fewer levels")]
    return packs, _sorted(faults)


def _document(obj: PackObject, spec: Mapping[str, Any]) -> ObjectDocument:
    written = {**obj.beside, "apiVersion": API_VERSION, "kind": "RulePack", "metadata": {"name": obj.name}, "spec": spec}
    return ObjectDocument(written, obj.file)


def parse_reference(obj: PackObject) -> ReferenceSpec:
    """Return what an object says of a shipped pack. Raise InvalidText with every fault, located by path."""
    document = _document(obj, dict(obj.spec))
    try:
        return RulePackReferenceSpec.model_validate(document.value).spec
    except ValidationError as error:
        raise InvalidText(spec_faults(error, RulePackReferenceSpec, document.value, document)) from error


def _sorted(faults: list[Fault]) -> list[Fault]:
    return sorted(merged(faults), key=lambda fault: (fault.location, fault.message))[:MAX_FAULTS]


def _pack_documents(document: YamlDocument, faults: list[Fault], *, manifests: bool) -> Iterator[YamlDocument]:
    """Yield the documents of rule packs: the document itself, or those in the data of a ConfigMap."""
    raw = document.value
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if manifests and _foreign(raw):
        return
    if manifests and is_reference(raw):
        faults += reference_faults(document)
        return
    if not isinstance(raw, dict):
        expected = "a mapping with apiVersion, kind, metadata and spec"
        faults.append(Fault(document.locate(()), f"{found(raw)} stands here", expected, SCHEMA))
    elif kind == "ConfigMap":
        for inner in documents_within(document, raw, faults):
            yield from _pack_documents(inner, faults, manifests=False)
    elif isinstance(kind, str) and kind not in _KINDS:
        faults.append(Fault(document.locate(("kind",)), f"{found(kind)} is not possible here", one_of(kind, _KINDS), SCHEMA))
    elif kind not in _ELSEWHERE:
        yield document


def _foreign(raw: Any) -> bool:
    """Return whether a document is an object of another kind: neither its group nor its kind is, or nearly is, the engine's."""
    if not isinstance(raw, dict) or not isinstance(raw.get("apiVersion"), str) or not isinstance(raw.get("kind"), str):
        return False
    group, kind = raw["apiVersion"].rpartition("/")[0], raw["kind"]
    return kind not in _KINDS and not get_close_matches(group, [GROUP], cutoff=0.8)


def _linked(cel: Backend, libraries: Libraries | None) -> Cel:
    return cel.linked((shipped_libraries() if libraries is None else libraries).functions)


def _bind(document: Document, cel: Cel, namespace: str, packs: list[ParsedPack], faults: list[Fault]) -> None:
    """Bind the pack of a document; of one whose keys or types have faults, bind the rest for the faults in it."""
    document, unextended = extended(document)
    faults += unextended.values()
    raw = _without_rules(document.value, unextended)
    try:
        spec = RulePackSpec.model_validate(raw)
    except ValidationError as error:
        faults += spec_faults(error, RulePackSpec, raw, document)
        rest = recovered(raw, error)
        faults += bind_pack(rest, document, cel, namespace).faults if rest else ()
        return
    bound = bind_pack(spec, document, cel, namespace)
    faults += bound.faults
    packs.extend(() if unextended else [ParsedPack(bound.pack, document, bound.expressions)])


def _without_rules(raw: Any, faulty: Collection[int]) -> Any:
    """Return a spec whose rules of these indexes do nothing: what else is wrong in them could be a mere consequence."""
    if not faulty:
        return raw
    rules = [_empty_rule(index) if index in faulty else rule for index, rule in enumerate(raw["spec"]["rules"])]
    return {**raw, "spec": {**raw["spec"], "rules": rules}}


def _same_names(packs: list[tuple[str, RulePack]]) -> list[Fault]:
    """Return a fault for each pack whose name another one has before it, in the same namespace or where one of both has none."""
    again = [
        pack for number, (namespace, pack) in enumerate(packs)
        if any(other.identity == pack.identity and same(there, namespace) for there, other in packs[:number])
    ]  # fmt: skip
    return [Fault(pack.location, f"a second pack {pack.identity!r} in the same text", "each pack once") for pack in again]


_NAMING = frozenset(["name", "extends", "actions", "loop", "loopVar", "vars", "lookup", "aggregate"])
"""Keys that a rule needs, or that give names to its expressions."""
_SOME_SCHEDULE = {"cron": "0 0 * * *"}
"""What stands for a schedule that has faults: expressions read `schedule.time`, whenever that is."""
_SOME_KIND = {"apiVersion": "v1", "kind": "X"}
"""What stands for a watch that has faults."""
_BODY_KEYS = [field.alias for field in PackSpec.model_fields.values()]
_RULE_KEYS = [str(field.alias) for field in RuleSpec.model_fields.values()]


def recovered(raw: dict[str, Any], error: ValidationError) -> RulePackSpec | None:
    """Return the spec without what `error` complains of, each thing left at its path; None where nothing certain can be said.

    A rule that cannot do without what is wrong in it becomes one that does nothing. Where what is wrong declares names
    (params, targets, inputs, metrics), faults of the rest could be mere consequences.
    """
    body = raw.get("spec")
    rules = body.get("rules") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(rules, list):
        return None
    body = {key: value for key, value in body.items() if key in _BODY_KEYS}
    rules = [rule if isinstance(rule, dict) else _empty_rule(index) for index, rule in enumerate(rules)]
    metadata, watch = raw.get("metadata"), body.get("watch")
    for detail in error.errors(include_url=False):
        match detail["loc"]:
            case ("spec", "rules", int(index), *_):
                rules[index] = _without(rules[index], detail, index)
            case ("metadata", *_):
                metadata = {"name": "x"}
            case ("spec", "watch", *_):
                watch = _SOME_KIND
            case ("spec", "params" | "targets" | "inputs" | "metrics" | "rules", *_):
                return None
            case ("spec", str(key), *_):
                body.pop(key, None)
    body |= {"watch": watch, "rules": rules}
    if watch is _SOME_KIND:  # which may be any, so that no right is known to be missing
        body["targets"] = [*body.get("targets", ()), {**_SOME_KIND, "verbs": list(get_args(Verb))}]
    try:
        return RulePackSpec.model_validate({"apiVersion": API_VERSION, "kind": "RulePack", "metadata": metadata, "spec": body})
    except ValidationError:
        return None


def _without(rule: dict[str, Any] | RuleSpec, detail: ErrorDetails, index: int) -> dict[str, Any] | RuleSpec:
    if isinstance(rule, RuleSpec):
        return rule
    key, *deeper = [str(step) for step in detail["loc"][3:]] or ["name"]
    unknown = detail["type"] == "extra_forbidden" and not deeper
    meant = get_close_matches(key, _RULE_KEYS, n=1) if unknown else [key]
    if _NAMING.intersection(meant):
        return _empty_rule(index)
    kept = {name: value for name, value in rule.items() if name != key}
    return kept | {"schedule": _SOME_SCHEDULE} if "schedule" in meant else kept


def _empty_rule(index: int) -> RuleSpec:
    return RuleSpec.model_construct(name=f"x-{index}", actions=[])
