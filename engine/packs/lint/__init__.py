"""Lint: every fault of rule packs at once. One class for each check, and one table of all kinds of fault.

What a kind of fault is stands in the table, or in the docstring of its class; `rulepack lint --explain` and the reference
show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc

from engine.cel import Backend
from engine.cel.types import Type
from engine.errors import Fault
from engine.model.objects import Kind
from engine.packs.crds import Definition
from engine.packs.extends import merged
from engine.packs.libraries import Libraries, read_libraries
from engine.packs.lint.absent import AbsentLabel
from engine.packs.lint.base import Check, Code, Severity, Subject
from engine.packs.lint.braces import ForeignBraces
from engine.packs.lint.comments import CutText
from engine.packs.lint.conditions import AlwaysTrue, DeadRule, MissedChange, SameAnnotation
from engine.packs.lint.consent import MissingConsent
from engine.packs.lint.constants import IncludesInText, IntegerDivision, NoAnswer, OrderOfTexts
from engine.packs.lint.emptytexts import EmptyText
from engine.packs.lint.fields import UnknownField, WrongType
from engine.packs.lint.functions import UnusedFunction
from engine.packs.lint.generated import SameGenerated
from engine.packs.lint.kinds import UnknownKind
from engine.packs.lint.lookups import UnfollowedLookup, WritesWhatItLooksUp
from engine.packs.lint.loops import LoopEndsItself
from engine.packs.lint.records import PreviousNameInUse, TimerRight
from engine.packs.lint.refused import GoneObject, RefusedName
from engine.packs.lint.scope import types_of_kinds
from engine.packs.lint.urls import OwnAddress
from engine.packs.lint.usage import MissingAgeFrom, MissingOncePer, NeedlessResync, NowWithoutResync, NowWritten, UnusedTarget
from engine.packs.lint.versions import VersionInKey
from engine.packs.lint.watched import UnwatchedField
from engine.packs.lint.yaml11 import OtherwiseInKubectl
from engine.packs.parse import ParsedPack, parse_text
from engine.packs.sources import Text

_WHILE_READING = {
    "yaml": """
        The text is not YAML, or more than a rule pack may be.

        Rule packs are YAML 1.2 in UTF-8, of at most 1 MiB, with bounded depth and aliases, so that no text can stop the engine.
        Dates are texts. A key may stand once in a mapping.
        """,
    "schema": """
        A key is unknown or missing, or a value is not of the kind that belongs there.

        The reference lists every key; `rulepack schema` writes the JSON Schema, with which editors complete keys and mark faults
        as you type: put `# yaml-language-server: $schema=rulepack.schema.json` in the first line.
        """,
    "declaration": """
        Something is used that the pack does not declare, or declared twice, or in a way that cannot be.

        Metrics and their labels, registers, names of rules and targets, rules that others extend, defaults that do not fit their
        own schema, vars that need themselves.
        """,
    "record-name": """
        The names of a pack and a rule are together too long for the annotation that records what has fired.

        The record is kept in `fired.rules.mlops.dev/<pack>.<rule>`, and Kubernetes takes at most 63 characters after the slash.
        """,
    "expression": """
        A CEL expression, or one inside `${…}`, does not parse, names something that does not exist, or mixes types.

        A field that may be absent is read with `get(object, 'status.phase', '')`; one that must be there with
        `object.status.phase`, which has no answer where it is absent.
        """,
    "function-circle": """
        A function of a library calls itself, or another one that does so in the end.

        Each call is replaced by the expression of the function before anything is evaluated, which would have no end.
        """,
    "function-clash": """
        A library, or a function of one, has a name that means something else in CEL.

        A library cannot be called `math` or `object`, a function not `size` or `filter`: nobody could know which one is meant.
        """,
    "undeclared-target": """
        An action or a lookup needs a verb on a kind that `targets` does not grant.

        `targets` bounds everything that a pack may touch, whatever a rule or an annotation says; the engine would refuse the
        action each time. Add the kind and the verb to `targets`, if it is meant:

            targets:
              - {apiVersion: apps/v1, kind: Deployment, verbs: [get, patch]}
        """,
    "unguarded-patch": """
        A JSON patch has no `guard`.

        The operations of a JSON patch name positions, such as the third item of a list, and do something else where the object
        has changed. A `guard` says in CEL what must be true of the live `target`; it is checked together with the
        resourceVersion that was seen. Or use a merge patch, which says what is wanted.
        """,
}
_CHECKS: tuple[type[Check], ...] = (
    AbsentLabel,
    AlwaysTrue,
    CutText,
    DeadRule,
    EmptyText,
    ForeignBraces,
    GoneObject,
    IncludesInText,
    IntegerDivision,
    LoopEndsItself,
    MissedChange,
    MissingAgeFrom,
    MissingConsent,
    MissingOncePer,
    NeedlessResync,
    NoAnswer,
    NowWithoutResync,
    NowWritten,
    VersionInKey,
    OrderOfTexts,
    OtherwiseInKubectl,
    OwnAddress,
    PreviousNameInUse,
    RefusedName,
    SameAnnotation,
    SameGenerated,
    TimerRight,
    UnfollowedLookup,
    UnknownField,
    UnknownKind,
    UnusedFunction,
    UnusedTarget,
    UnwatchedField,
    WritesWhatItLooksUp,
    WrongType,
)

CODES: Mapping[str, Code] = {
    code.name: code
    for code in sorted(
        [
            *(Code(name, Severity.ERROR, cleandoc(text)) for name, text in _WHILE_READING.items()),
            *(Code.of(check) for check in _CHECKS),
        ],
        key=lambda code: code.name,
    )
}

__all__ = ["CODES", "Code", "Severity", "kinds_of", "lint", "type_faults"]


def lint(
    texts: Sequence[Text], cel: Backend, definitions: Mapping[Kind, Definition] | None = None,
    served: Mapping[Kind, Type] | None = None, libraries: Libraries | None = None,
) -> tuple[int, list[Fault]]:  # fmt: skip
    """Return the number of packs in these texts, and every fault of them, in the order of the texts and their lines.

    Packs of all texts are checked together, with the `libraries` that are in the texts, beside those that are shipped. The
    types of kinds are those of `definitions`, then those that a cluster has `served`, then those of Kubernetes' own kinds.
    """
    packs: list[ParsedPack] = []
    libraries = read_libraries(texts, cel) if libraries is None else libraries
    faults = list(libraries.faults)
    broken: set[str] = set()
    for text in texts:
        read, own = parse_text(text.text, text.file, cel, manifests=True, libraries=libraries)
        packs += read
        broken |= {parsed.pack.identity for parsed in read if own or text.faults}
        faults += [*text.faults, *own]
    subject = Subject(packs, types_of_kinds(definitions or {}, served or {}), frozenset(broken), libraries, not faults)
    known = {fault.location for fault in faults}  # found while reading, whatever the schema of a kind says
    found = (fault for code in CODES.values() if code.check is not None for fault in code.check.faults(subject))
    faults += [fault for fault in found if fault.code != WrongType.name or fault.location not in known]
    order = {text.file: number for number, text in enumerate(texts)}
    return len(packs), sorted(merged(faults), key=lambda fault: (order.get(fault.location.file, 0), fault.location))


def type_faults(packs: Sequence[ParsedPack], kinds: Callable[[Kind], Type]) -> list[Fault]:
    """Return what does not fit the types of kinds in packs that have no other fault, in the order of their lines."""
    subject = Subject(packs, kinds)
    found = merged(fault for check in (UnknownField(), WrongType()) for fault in check.faults(subject))
    return sorted(found, key=lambda fault: fault.location)


def kinds_of(packs: Sequence[ParsedPack]) -> frozenset[Kind]:
    """Return the kinds of which packs read objects: what they watch, look up and act on."""
    watched = {kind for parsed in packs for kind in parsed.pack.watches}
    needed = {need.kind for parsed in packs for rule in parsed.pack.rules for need in rule.needs() if need.kind is not None}
    discovered = {discovery.kind for parsed in packs for discovery in parsed.pack.discover.values()}
    return frozenset(watched | needed | discovered)
