"""What is kept of an object before it is cached: memory is paid for every object of a kind, all the time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from engine.cel import ELEMENTS, Program
from engine.model.mappings import is_mapping
from engine.model.objects import Object
from engine.packs.pack import RulePack

Path = tuple[str, ...]
Prune = Callable[[Object], Object]
"""What turns an object into the part of it that is kept."""
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
        paths.update(read[1:] for program in _programs(pack) for read in program.reads if read[0] in ("object", "oldObject"))
    return None if () in paths else frozenset(paths)


def _programs(value: Any) -> Iterator[Program]:
    """Every compiled expression in a pack, wherever its rules and actions keep it."""
    if isinstance(value, Program):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _programs(getattr(value, field.name))
    elif is_mapping(value):
        for each in value.values():
            yield from _programs(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _programs(each)


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
