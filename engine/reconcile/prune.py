"""What is kept of an object before it is cached: memory is paid for every object of a kind, all the time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

import orjson

from engine.cel import ELEMENTS, EXISTS, fields_of
from engine.model.mappings import is_mapping
from engine.model.objects import Object, dig, metadata
from engine.reconcile.caches import Cached

Path = tuple[str, ...]
LARGE = 2**16
"""Bytes as JSON beyond which a value is not cached, but read from the API server whenever a rule needs it."""
ALIKE = 10_000
"""How many different elements of lists are remembered, so that those like them need no memory of their own."""
_Tree = dict[str, Any]
"""What is kept below a key: all (None), or of a mapping what a tree says; `[]` stands for the elements of a list."""
_MISSING = object()
_ALWAYS = (("apiVersion",), ("kind",), ("metadata",))


class Omitted(Mapping[str, Any]):
    """Stands in a cached object for a large value; equal to another one where the values are.

    It has every key, with itself as the value: nothing is ruled out by what the value might not have.
    """

    __slots__ = ("_digest",)

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def __getitem__(self, key: str) -> Omitted:
        return self

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Omitted) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)


class Prune(Protocol):
    """What makes of an object what is cached of it."""

    @property
    def metadata_only(self) -> bool:
        """Whether that is nothing but what names an object and its metadata."""
        ...

    def entry(self, obj: Object, initial: bool = False) -> Cached:
        """Return an object as it is cached."""
        ...


class Whole:
    """Caches objects as they are."""

    metadata_only: bool = False

    def entry(self, obj: Object, initial: bool = False) -> Cached:
        """See `Prune.entry`."""
        return Cached(obj, initial)


@dataclass(frozen=True)
class Pruner:
    """Keeps of an object what lies at or under one of the paths, and always what names it: its metadata.

    `metadata.managedFields` always goes. None keeps everything else. A path ends early at a list, which is kept whole, unless
    it says what is kept of the elements (`[]`); elements of scalars that are then alike, in whichever object, are kept once. A
    mapping in the place of such a list is kept whole, since its elements are its keys. `?` keeps no more than that there is one.

    Large values are cached as `Omitted`, but for those that lie at, under or above a path of `cached`; None: none is omitted.
    """

    keep: frozenset[Path] | None
    cached: frozenset[Path] | None = None
    _compiled: _Tree | None = field(init=False, repr=False, compare=False)
    _omittable: frozenset[Path] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tree = None if self.keep is None else _tree([*_ALWAYS, *self.keep])
        object.__setattr__(self, "_compiled", None if tree is None else _compiled(tree))
        leaves = () if tree is None or self.cached is None else {fields_of(path) for path in _leaves(tree)}
        omittable = (path for path in leaves if not touch(path, (*_ALWAYS, *(self.cached or ()))))
        object.__setattr__(self, "_omittable", frozenset(omittable))

    @property
    def metadata_only(self) -> bool:
        """See `Prune.metadata_only`."""
        return self.keep is not None and all(path[0] in ("apiVersion", "kind", "metadata", EXISTS) for path in self.keep)

    def also(self, keep: frozenset[Path] | None) -> Pruner:
        """Return what keeps these paths too, however large their values are; None: all of an object."""
        if keep is None:
            return Pruner(None)
        return Pruner(None if self.keep is None else self.keep | keep, None if self.cached is None else self.cached | keep)

    def __call__(self, obj: Object) -> Object:
        """Return what is kept of an object, large values included."""
        tree = self._compiled
        kept = dict(obj) if tree is None else _pruned(obj, tree)
        meta = kept.get("metadata")
        if (type(meta) is dict or is_mapping(meta)) and "managedFields" in meta:
            kept["metadata"] = meta = {**meta}
            del meta["managedFields"]
        return kept

    def entry(self, obj: Object, initial: bool = False) -> Cached:
        """See `Prune.entry`."""
        kept, omitted = self(obj), []
        for path in self._omittable if self.keep is not None else self._top_level(kept):
            value = dig(kept, path)
            if value is not None and type(value) in _SIZED and (digest := _digest(value, metadata(obj))):
                *above, last = path
                parent: Any = kept
                for key in above:
                    parent[key] = parent = dict(parent[key])
                parent[last] = Omitted(digest)
                omitted.append(path)
        return Cached(kept, initial, tuple(omitted))

    def _top_level(self, obj: Object) -> Sequence[Path]:
        if self.cached is None:
            return ()
        kept = (*_ALWAYS, *self.cached)
        return [(key,) for key in obj if not touch((key,), kept)]


#: Types of values that may be large.
_SIZED = frozenset([str, dict, list])


def pruner(keep: Collection[Path] | None) -> Pruner:
    """Return what keeps what lies at or under one of these paths, however large it is."""
    return Pruner(None if keep is None else frozenset(keep))


def touch(path: Path, paths: Iterable[Path]) -> bool:
    """Return whether one of these paths is at, under or above a path."""
    return any(each[: len(path)] == path[: len(each)] for each in paths)


def _digest(value: Any, meta: Mapping[str, Any]) -> bytes:
    """Return what is the same for the same value, where it is large, else nothing."""
    if type(value) is str:
        text = value.encode(errors="surrogatepass") if len(value) > LARGE // 4 else b""
    else:
        try:
            text = orjson.dumps(value)
            if len(text) > LARGE:  # most are small, and sorting takes most of the time
                text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:  # nested too deeply: equal only as long as the object is
            return str(meta.get("resourceVersion")).encode()
    return sha256(text).digest() if len(text) > LARGE else b""


def _leaves(tree: _Tree, path: Path = ()) -> Iterator[Path]:
    """Yield the paths below which everything is kept."""
    for key, below in tree.items():
        if below is None:
            yield (*path, key)
        else:
            yield from _leaves(below, (*path, key))


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
        if key == EXISTS and len(tree) > 1:  # what else is kept shows it
            continue
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
                elif ELEMENTS not in below and (type(part) is dict or is_mapping(part)):
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
