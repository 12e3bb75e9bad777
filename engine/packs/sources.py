"""Where rule packs come from: files and folders, the data of ConfigMaps, and those that come with the engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

from engine.errors import Fault, Location, UsageError
from engine.model.objects import Object, dig, labels_of, metadata, ref_of
from engine.model.text import shown
from engine.packs.last_applied import LAST_APPLIED, Dropped, misplaced, spec_with_nulls
from engine.packs.yamltext import CODE, PACK_BOUNDS, read_yaml

SUFFIXES = (".yaml", ".yml")
MANAGED = {"app.kubernetes.io/managed-by": "rulepack"}
"""The labels of the RulePacks that the operator creates."""
_KEYS = frozenset(["apiVersion", "kind", "metadata", "spec", "status"])
"""The keys of an object."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text that may hold rule packs.

    `file` names it in Locations; `source` is what it belongs to: the file itself, or `configmap/<namespace>/<name>`.
    `faults` say why it could not be read; `text` is empty then.
    """

    file: str
    text: str
    source: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnObject:
    """An object of one of the engine's own kinds.

    `file` and `source` name it in Locations and reports, such as `rulepack/<namespace>/<name>`. `uid` is not that of another one
    that had its name before. `spec` has the nulls that `kubectl apply` was given and did not send; `dropped` are those that do
    not count, since others may have written these parts of it since. `whole` and `places` have those too: they do count where a
    null is a fault. `managed` says that it has the label of what the operator creates, `owner` names the ConfigMap with which
    it goes, '' where it goes with none. `beside` are keys beside `spec` that no object has: each is a fault. `misplaced` are
    keys that were given in `metadata`, which has none such, so that the API server has dropped them.
    """

    file: str
    name: str
    uid: str
    generation: int
    spec: Mapping[str, Any]
    dropped: Sequence[Dropped] = ()
    whole: Mapping[str, Any] | None = None
    places: Mapping[str, str] = field(default_factory=dict)
    managed: bool = False
    owner: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)
    misplaced: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, obj: Object) -> Self:
        """Return what there is to read of an object."""
        ref, generation = ref_of(obj), int(metadata(obj).get("generation", 0))
        given = spec_with_nulls(obj)
        file = f"{ref.kind.kind.lower()}/{ref.namespace}/{ref.name}"
        spec = given.spec if isinstance(given.spec, dict) else {}
        managed = MANAGED.items() <= labels_of(obj).items()
        owners = [each["name"] for each in metadata(obj).get("ownerReferences") or () if each.get("kind") == "ConfigMap"]
        beside = {key: value for key, value in obj.items() if key not in _KEYS}
        return cls(
            file, ref.name, ref.uid, generation, spec, given.dropped, given.whole, given.places, managed, "".join(owners[:1]),
            beside, misplaced(obj),
        )  # fmt: skip

    @property
    def warnings(self) -> list[Fault]:
        """A warning for each null that kubectl dropped and that does not count, and for each key that the API server dropped."""
        return [*self._dropped(), *self._misplaced()]

    def _misplaced(self) -> Iterator[Fault]:
        """Yield a warning for each key in metadata that has none such: what it says does not count."""
        for key in self.misplaced:
            message = f"kubectl apply was given {shown(key)} in metadata, where the API server drops it: it does not count"
            yield Fault(Location(self.file, 1, 1, f"metadata.{key}"), message, "it below spec, or not at all, and applied again")

    def _dropped(self) -> list[Fault]:
        """Return a warning for each null that does not count: a patch does not remove that key."""
        expected = "the whole object once more by kubectl apply --server-side --force-conflicts, which keeps nulls"
        said = "kubectl apply dropped the null here, and it does not count:"
        return [
            Fault(Location(self.file, 1, 1, path), f"{said} {_changed(path, manager)}", expected)
            for path, manager in self.dropped
        ]

    @property
    def source(self) -> str:
        """What it belongs to: itself."""
        return self.file


class PackObject(OwnObject):
    """An object of kind RulePack."""

    __slots__ = ()

    @property
    def reference(self) -> bool:
        """Whether it stands for a pack whose text is elsewhere."""
        return "shipped" in self.spec or "configMap" in self.spec

    @property
    def warnings(self) -> list[Fault]:
        """Those of any object; and one for each thing that a reference leaves on the pack that somebody has made of it."""
        return super().warnings if self.reference else [*super().warnings, *self._left()]

    def _left(self) -> Iterator[Fault]:
        """Yield a warning for what the operator put on the object when it was a reference, and what an own pack must not have."""
        (label, _), *_ = MANAGED.items()
        _, namespace, name = self.file.split("/")
        if self.managed:
            message = "it has a text of its own, and the label of those that the operator makes"
            expected = f"no such label: kubectl label rp {name} -n {namespace} {label}-"
            yield Fault(Location(self.file, 1, 1, f"metadata.labels[{label}]"), message, expected)
        if self.owner:
            message = f"it has a text of its own, and is deleted with ConfigMap {self.owner}"
            patch = '[{"op":"remove","path":"/metadata/ownerReferences"}]'
            expected = f"no such owner: kubectl patch rp {name} -n {namespace} --type=json -p '{patch}'"
            yield Fault(Location(self.file, 1, 1, "metadata.ownerReferences"), message, expected)

    def of_nulls(self, faults: Iterable[Fault]) -> list[Fault]:
        """Return those faults of `whole` that its nulls make: who takes a value away wants no rule without that key."""
        _, namespace, name = self.file.split("/")
        expected = (
            "a value. kubectl apply has noted the null and not sent it: where you want none, apply the pack without the key, or "
            f"remove the note: kubectl annotate rp {name} -n {namespace} {LAST_APPLIED}-"
        )
        return [replace(fault, expected=expected) for fault in faults if fault.location.path in self.places]


class LibraryObject(OwnObject):
    """An object of kind RuleLibrary."""

    __slots__ = ()


def _changed(path: str, manager: str) -> str:
    """Return why a null does not count."""
    return f"{manager} has written {re.split('[.[]', path)[1]} since" if manager else "what is around it has been changed since"


class Settable(NamedTuple):
    """What people can set of rule packs: their names, for parameters, their feature flags, and their parameters."""

    packs: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    params: frozenset[str] = frozenset()


def shipped_rules() -> Path:
    """Return the folder of the shipped packs: `engine/shipped_rules` of the wheel, or `rules/` of a checkout."""
    return _shipped("shipped_rules", "rules")


def shipped_settable() -> Settable:
    """Return what can be set of the shipped packs, which an operator with other packs shares its ConfigMaps with."""
    packs, flags, params = set(), set(), set()
    for text in load_folder([shipped_rules()]):
        for document in read_yaml(text.text, partial(Location, text.file)):
            if dig(document.value, ("kind",), "") == "RulePack":
                name = dig(document.value, ("metadata", "name"), "")
                packs.add(name)
                flags.add(dig(document.value, ("spec", "featureFlag"), name))
                params.update(dig(document.value, ("spec", "params"), {}))
    return Settable(frozenset(packs), frozenset(flags), frozenset(params))


def shipped_demo() -> Path:
    """Return the folder of what `rulepack demo` runs: `engine/shipped_demo` of the wheel, or `examples/demo/` of a checkout."""
    return _shipped("shipped_demo", "examples/demo")


def _shipped(installed: str, in_checkout: str) -> Path:
    """Return a folder that the wheel has in the package (pyproject.toml, wheel.sources), and a checkout beside it."""
    package = Path(__file__).resolve().parents[1]
    folder = package / installed
    return folder if folder.is_dir() else package.parent / in_checkout


def load_folder(paths: Sequence[Path], limit: int = PACK_BOUNDS.size) -> list[Text]:
    """Return the YAML files (*.yaml, *.yml) at these paths, folders with all below them, in the order of their names.

    Of a file no more than `limit` bytes are read, and one more.
    What cannot be read is a Text with a fault. Raise UsageError where a path does not exist, or nothing is found.
    """
    texts: dict[str, Text] = {}
    for path in paths:
        if not os.path.lexists(path):
            kind, _, name = str(path).partition("/")
            there = f", such as what `kubectl get rp {name} -o yaml` writes" if kind in ("rp", "rulepack") else ""
            raise UsageError(f"{path}: there is no such file or folder; expected a rule pack or a folder of rule packs{there}")
        for text in _folder(path, limit) if path.is_dir() else [_file(path, limit)]:
            texts.setdefault(text.file, text)
    if not texts:
        raise UsageError(f"no rule pack in {', '.join(map(str, paths)) or 'no path at all'}; expected files *.yaml or *.yml")
    return list(texts.values())


def packs_of_configmap(config_map: Object) -> list[Text]:
    """Return the texts in a ConfigMap's data: each key that ends in .yaml or .yml; a Text with a fault where there is none."""
    ref = ref_of(config_map)
    source = f"configmap/{ref.namespace}/{ref.name}"
    data = dig(config_map, ("data",), {})
    texts = [Text(f"{source}/{key}", str(text), source) for key, text in sorted(data.items()) if key.endswith(SUFFIXES)]
    if not texts:
        unread = ", ".join(map(repr, sorted(data)[:3]))
        message = "there is no rule pack in its data" + (f": none of its keys ends in .yaml or .yml ({unread})" if data else "")
        texts.append(_unread(source, source, message, "a key such as pack.yaml"))
    return texts


def _folder(folder: Path, limit: int) -> Iterator[Text]:
    """Read no linked and no hidden folders: a mounted ConfigMap keeps its files twice in those."""
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield _file(Path(parent, name), limit)
    for error in unreadable:
        yield _unread(str(error.filename), str(error.filename), f"cannot be read: {error.strerror}", "a readable folder")


def _file(path: Path, limit: int) -> Text:
    name = str(path)
    try:
        if path.exists() and not path.is_file():
            return _unread(name, name, "is not a file", "a file of YAML")
        with path.open("rb") as file:
            return text_of(file, name, limit)
    except OSError as error:
        return _unread(name, name, f"cannot be read: {error.strerror}", "a readable file")


def text_of(file: BinaryIO, name: str, limit: int = PACK_BOUNDS.size) -> Text:
    """Return what an open file holds, under a name for Locations. Raise OSError."""
    content = file.read(limit + 1)
    try:
        return Text(name, content.decode(), name)
    except UnicodeDecodeError as error:
        if len(content) > limit:  # cut within a character; what is wrong is the size
            return _unread(name, name, f"the text has more than {limit} bytes", f"at most {limit}")
        before = content[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return _unread(name, name, f"the byte 0x{content[error.start]:02x} is not UTF-8", "text in UTF-8", line, column)


def _unread(file: str, source: str, message: str, expected: str, line: int = 1, column: int = 1) -> Text:
    return Text(file, "", source, (Fault(Location(file, line, column), message, expected, CODE),))
