"""What is kept of an object before it is cached: memory is paid for every object of a kind, all the time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from engine.actions.lookup import Lookup
from engine.cel import ELEMENTS, Program
from engine.model.mappings import is_mapping
from engine.model.objects import NAMESPACE, Kind, Object
from engine.model.plan import Held
from engine.packs.pack import Rule, RulePack
from engine.packs.parts import instances

Path = tuple[str, ...]
Prune = Callable[[Object], Object]
"""What turns an object into the part of it that is kept."""
NAMESPACES = Held(NAMESPACE)
"""What `namespaceSelector` goes by."""
ALIKE = 10_000
"""How many different elements of lists are remembered, so that those like them need no memory of their own."""
_Tree = dict[str, Any]
"""What is kept below a key: all (None), or of a mapping what a tree says; `[]` stands for the elements of a list."""
_MISSING = object()


def pruner(keep: Collection[Path] | None) -> Prune:
    """A function that keeps what lies at or under one of the paths, and always what names an object: its metadata.

    `metadata.managedFields` always goes. None keeps everything else. A path ends early at a list, which is kept whole, unless
    it says what is kept of the elements (`[]`); elements of scalars that are then alike, in whichever object, are kept once.
    """
    tree = None if keep is None else _compiled(_tree([("apiVersion",), ("kind",), ("metadata",), *keep]))

    def prune(obj: Object) -> Object:
        kept = dict(obj) if tree is None else _pruned(obj, tree)
        meta = kept.get("metadata")
        if (type(meta) is dict or is_mapping(meta)) and "managedFields" in meta:
            kept["metadata"] = meta = {**meta}
            del meta["managedFields"]
        return kept

    return prune


def read_by(packs: Collection[RulePack]) -> frozenset[Path] | None:
    """The paths of a watched object that these packs read; None where one of them uses an object as a whole."""
    paths: set[Path] = set()
    for pack in packs:
        paths.update(pack.watch.fields)
        reads = (read for program in instances(pack, Program) for read in program.reads)
        paths.update(read[1:] for read in reads if read[0] in ("object", "oldObject"))
    return None if () in paths else frozenset(paths)


def looked_up_by(packs: Collection[RulePack]) -> dict[Held, frozenset[Path] | None]:
    """The paths that these packs read of what their lookups follow, consent included; None where all of an object is used."""
    found: dict[Held, frozenset[Path] | None] = {}
    for pack in packs:
        for rule, lookup in pack.followed:
            assert lookup.held is not None
            paths = {*_read_of(rule, lookup), *_consent_reads(pack, lookup.held.kind)}
            before = found.get(lookup.held, frozenset())
            found[lookup.held] = None if before is None or () in paths else before | paths
            if lookup.selects_namespaces:
                found[NAMESPACES] = found.get(NAMESPACES, frozenset())
    return found


def joined(kept: frozenset[Path] | None, more: frozenset[Path] | None) -> frozenset[Path] | None:
    """The paths of both; None where one of them is all of an object."""
    return None if kept is None or more is None else kept | more


def _read_of(rule: Rule, lookup: Lookup) -> Iterator[Path]:
    """The paths that a rule reads of `lookup.<name>`; of each of a list, where it is one."""
    for program in instances(rule, Program):
        for root, *path in program.reads:
            if root == "lookup" and path[:1] in ([], [lookup.name]):
                below = path[1:]
                if lookup.by_selector:
                    below = below[1:] if below[:1] == [ELEMENTS] else []
                yield tuple(below)


def _consent_reads(pack: RulePack, kind: Kind) -> Iterator[Path]:
    target = pack.target(kind)
    if target is not None and isinstance(target.consent, Program):
        yield from (path for root, *rest in target.consent.reads if root == "target" for path in [tuple(rest)])


def _tree(paths: Collection[Path]) -> dict[str, Any]:
    """Paths as nested mappings; None keeps everything below."""
    root: dict[str, Any] = {}
    for path in sorted(paths, key=len):  # a shorter path keeps all that a longer one would
        node = root
        for key in path[:-1]:
            node = node.setdefault(key, {})
            if node is None:
                break
        else:
            node[path[-1]] = None
    return root


def _compiled(tree: dict[str, Any]) -> _Tree:
    """The same, with an _Elements for what is kept of the elements of a list."""
    made: _Tree = {}
    for key, below in tree.items():
        made[key] = None if below is None else _Elements(_compiled(below)) if key == ELEMENTS else _compiled(below)
    return made


def _pruned(value: Mapping[str, Any], tree: _Tree) -> dict[str, Any]:
    kept = {}
    for key, below in tree.items():
        if key in value:
            part = value[key]
            if type(below) is dict:
                if type(part) is list:
                    elements = below.get(ELEMENTS)
                    part = elements.pruned(part) if elements else part
                elif type(part) is dict or is_mapping(part):
                    part = _pruned(part, below)
            kept[key] = part
    return kept


class _Elements:
    """What is kept of the elements of a list, once for all that are then alike. Works on whole columns, for they are many."""

    def __init__(self, tree: _Tree) -> None:
        self._tree = tree
        self._known: dict[tuple[Any, ...], Object] = {}

    def pruned(self, elements: Sequence[Any]) -> Sequence[Any]:
        """The elements with no more than is kept of them."""
        if len(self._known) > ALIKE:
            self._known.clear()
        try:
            columns = [[each.get(key, _MISSING) for each in elements] for key in self._tree]
            # with the types, since 1, 1.0 and true are equal
            values = list(zip(*columns, *(map(type, column) for column in columns), strict=True))
            found = list(map(self._known.get, values))
        except (AttributeError, TypeError):  # an element that is no mapping, or something in one that is no scalar
            return [_pruned(each, self._tree) if is_mapping(each) else each for each in elements]
        for number, kept in enumerate(found):
            if kept is None:
                found[number] = self._known.setdefault(values[number], _pruned(elements[number], self._tree))
        return found
