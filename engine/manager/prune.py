"""What is kept of an object before it is cached: memory is paid for every object of a kind, all the time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from engine.cel import ELEMENTS, Program
from engine.manager.informer import Prune
from engine.model.mappings import is_mapping
from engine.model.objects import Object
from engine.rulepack.pack import RulePack

Path = tuple[str, ...]
ALIKE = 10_000
"""How many different elements of lists are remembered, so that those like them need no memory of their own."""


def pruner(keep: Collection[Path] | None) -> Prune:
    """A function that keeps what lies at or under one of the paths, and always what names an object: its metadata.

    `metadata.managedFields` always goes. None keeps everything else. A path ends early at a list, which is kept whole, unless
    it says what is kept of the elements (`[]`); elements that are then alike, in whichever object, are kept once.
    """
    alike: dict[tuple[Any, ...], Object] = {}
    tree = None if keep is None else _tree([("apiVersion",), ("kind",), ("metadata",), *keep])

    def prune(obj: Object) -> Object:
        if len(alike) > ALIKE:
            alike.clear()
        kept = dict(obj) if tree is None else _pruned(obj, tree, alike)
        meta = kept.get("metadata")
        if is_mapping(meta) and "managedFields" in meta:
            kept["metadata"] = {key: value for key, value in meta.items() if key != "managedFields"}
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


def _pruned(value: Mapping[str, Any], tree: Mapping[str, Any], alike: dict[tuple[Any, ...], Object]) -> dict[str, Any]:
    kept = {}
    for key, below in tree.items():
        if key in value:
            part = value[key]
            if below and is_mapping(part):
                part = _pruned(part, below, alike)
            elif below and ELEMENTS in below and type(part) is list:
                part = [_element(each, below[ELEMENTS], alike) for each in part]
            kept[key] = part
    return kept


def _element(value: Any, tree: Mapping[str, Any] | None, alike: dict[tuple[Any, ...], Object]) -> Any:
    if not tree or not is_mapping(value):
        return value
    kept = _pruned(value, tree, alike)
    try:
        return alike.setdefault(tuple((key, type(each), each) for key, each in kept.items()), kept)
    except TypeError:  # something in it that is no scalar
        return kept
