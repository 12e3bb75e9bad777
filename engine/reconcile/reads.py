"""Which parts of objects packs read: of those that they watch, and of those that they look up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace

from engine.actions.generated import Generates
from engine.actions.lookup import Lookup
from engine.cel import ELEMENTS, Program
from engine.kube.selectors import field_paths
from engine.model.fieldselectors import field_terms
from engine.model.objects import NAMESPACE, Kind
from engine.model.plan import LookupWatch
from engine.packs.pack import RulePack
from engine.packs.parts import instances
from engine.packs.rule import Rule
from engine.reconcile.prune import Path, Pruner

NAMESPACES = LookupWatch(NAMESPACE)
"""What `namespaceSelector` goes by."""
NAMES = Pruner(frozenset())
"""What keeps no more than what names an object and its metadata."""


def pruner_of(kind: Kind, packs: Collection[RulePack]) -> Pruner:
    """Return what keeps the parts of a watched object that these packs read, large values only where they cannot be read again:

    what they have been (`oldObject`), what is counted in groups at once, and what is gone (`on: Delete`).
    """
    cached: set[Path] = set()
    for pack in packs:
        for rule in _rules_for(kind, pack):
            again = rule.aggregate is None and rule.on == "Change"
            cached.update(reads_of(rule, ("oldObject",) if again else ("object", "oldObject")))
    return Pruner(_read_by(kind, packs), frozenset(cached))


def looked_up_by(packs: Collection[RulePack]) -> dict[LookupWatch, Pruner]:
    """Return what keeps the parts that these packs read of what lookups follow, however large they are.

    Consent is among them, and what they select by.
    """
    found: dict[LookupWatch, Pruner] = {}
    for pack in packs:
        for rule, lookup in pack.followed:
            assert lookup.watch is not None
            selected = (path for term in field_terms(lookup.field_selector) for path in field_paths(term.field))
            paths = frozenset((*_read_of(rule, lookup), *selected, *_consent_reads(pack, lookup.watch.kind)))
            whole = () in paths or isinstance(lookup, Generates)  # of which any change is to be noticed
            found[lookup.watch] = found.get(lookup.watch, NAMES).also(None if whole else paths)
            if lookup.selects_namespaces:
                found.setdefault(NAMESPACES, NAMES)
    return found


def reads_of(rule: Rule, variables: Collection[str] = ("object",)) -> frozenset[Path]:
    """Return the paths below these variables that a rule reads, through vars as well."""
    parts = (getattr(rule, each.name) for each in fields(rule) if each.name != "vars")
    return _reads_of(instances([*parts], Program), rule.vars, variables)


def _reads_of(programs: Iterable[Program], vars: Mapping[str, Program], variables: Collection[str]) -> frozenset[Path]:
    """The paths below some variables that programs read, through vars as well."""
    rest, found, seen = [*programs], set[Path](), set[str]()
    while rest:
        for path in rest.pop().reads:
            if path[0] == "vars":
                names = {*(path[1:2] or vars)} & vars.keys() - seen
                seen |= names
                rest += [vars[name] for name in names]
            elif path[0] in variables:
                found.add(path[1:])
    return frozenset(found)


def _rules_for(kind: Kind, pack: RulePack) -> Sequence[Rule]:
    """The rules that can be about a kind."""
    return [rule for rule in pack.rules if kind in pack.kinds(rule)]


def _read_by(kind: Kind, packs: Collection[RulePack]) -> frozenset[Path] | None:
    """The paths of a watched object that these packs read; None where one of them uses an object as a whole.

    Of a rule that is about other kinds they are those of its conditions, which say so.
    """
    paths: set[Path] = set()
    for pack in packs:
        paths.update(pack.watches[kind].fields)
        programs = instances([replace(pack, rules=()), _rules_for(kind, pack)], Program)
        reads = (read for program in programs for read in program.reads)
        paths.update(read[1:] for read in reads if read[0] in ("object", "oldObject"))
        for rule in (rule for rule in pack.rules if kind not in pack.kinds(rule)):
            paths |= _reads_of(rule.when, rule.vars, ("object", "oldObject"))
    return None if () in paths else frozenset(paths)


def _read_of(rule: Rule, lookup: Lookup) -> Iterator[Path]:
    """The paths that a rule reads of `lookup.<name>`; of each of a list, where it is one."""
    for program in instances(rule, Program):
        for root, *path in program.reads:
            if root == "lookup" and path[:1] in ([], [lookup.name]):
                below = path[1:]
                elements = below[:1] == [ELEMENTS]
                if elements != lookup.by_selector:  # of the keys of an object, or of a list as a whole
                    below = []
                yield tuple(below[1:] if elements else below)


def _consent_reads(pack: RulePack, kind: Kind) -> Iterator[Path]:
    target = pack.target(kind)
    if target is not None and isinstance(target.consent, Program):
        yield from (path for root, *rest in target.consent.reads if root == "target" for path in [tuple(rest)])
