"""Which objects a pack is about: kinds, each with its own selectors and fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import Field

from engine.cel import Path, Program, asked
from engine.cel.documents import path_steps
from engine.model.labels import LabelSelector, selector_text
from engine.model.objects import Kind
from engine.model.plurals import guessed_resource
from engine.model.spec import Spec
from engine.packs.diagnostics import Diagnostics
from engine.packs.document import Document
from engine.packs.fields import FieldPath, Selector, Text
from engine.packs.strings import mappings


class WatchSpec(Spec):
    """Which objects of a kind the pack is about."""

    api_version: Text
    """apiVersion of the watched kind, such as `apps/v1`."""
    kind: Text
    """The watched kind, such as `Deployment`."""
    label_selector: Selector = ""
    """Only objects with these labels, evaluated by the API server: a mapping, `matchLabels` and `matchExpressions` as Kubernetes
    has them, or a text such as `app=web,tier in (a,b),!old`.

    `{}` is all objects, as if it were left out. An empty text is a fault.
    """
    namespace_selector: LabelSelector | None = None
    """Only objects in namespaces with these labels. One that gets or loses them begins or ceases to be watched at once.

    Ceasing is no deletion: nothing is carried out or undone, what waits is dropped, and aggregates no longer count the objects.
    """
    fields_: list[FieldPath] = Field(default=[], alias="fields", max_length=50)
    """An object is evaluated only when one of these changed, such as `status.phase`; without any, at every change.

    Name all that conditions, `oncePer` and the like read, or what it lies in: a change of anything else evaluates nothing.
    """


class Selection(NamedTuple):
    """Labels of objects, and of the namespaces that they are in (None: of any labels, or in none)."""

    labels: str = ""
    namespaces: str | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Which objects of a kind a pack is about, and the field paths whose change makes it evaluate one (none: any change)."""

    kind: Kind
    selection: Selection
    fields: tuple[tuple[str, ...], ...]


def bind_watches(specs: Sequence[WatchSpec], diagnostics: Diagnostics) -> dict[Kind, Watch]:
    """Return what a pack watches, by kind; add a fault for a kind that stands twice, and for one that is in no namespace."""
    found: dict[Kind, Watch] = {}
    for index, spec in enumerate(specs):
        kind, path = Kind(spec.api_version, spec.kind), watch_path(diagnostics.document, index)
        if kind in found:
            diagnostics.fault((*path, "kind"), f"{kind.kind} is watched already", "each kind once")
        namespaces = _namespaces(spec, kind, diagnostics, (*path, "namespaceSelector"))
        fields = tuple(path_steps(field) for field in spec.fields_)
        found.setdefault(kind, Watch(kind, Selection(spec.label_selector, namespaces), fields))
    return found


def watch_path(document: Document, index: int) -> Path:
    """Return the path of one entry of `watch`, which stands alone where it is no list."""
    return ("spec", "watch", index) if isinstance(document.value["spec"].get("watch"), list) else ("spec", "watch")


def kind_path(document: Document, kind: Kind, path: Path) -> Path:
    """Return where a kind is written that an action or a lookup at a path needs: under `watch`, or there."""
    spec = document.value["spec"]
    written = mappings({key: spec[key] for key in ("watch", "rules")}, ("spec",))
    places = [place for place, found in written if Kind(found.get("apiVersion", ""), found.get("kind", "")) == kind]
    return next(((*place, "kind") for place in places if place[1] == "watch" or place[: len(path) - 1] == path[:-1]), path)


def _namespaces(spec: WatchSpec, kind: Kind, diagnostics: Diagnostics, path: Path) -> str | None:
    if spec.namespace_selector is None:
        return None
    if not guessed_resource(kind).namespaced:
        diagnostics.fault(path, f"a {kind.kind} lies in no namespace", "labelSelector", at_key=True)
    try:
        return selector_text(spec.model_dump(by_alias=True)["namespaceSelector"]) or None
    except ValueError as bad:
        diagnostics.fault(path, str(bad), "labels as Kubernetes takes them", at_key=True)
        return None


def kinds_left(kinds: Iterable[Kind], when: Iterable[Program], vars: Mapping[str, Program]) -> tuple[Kind, ...]:
    """Return the kinds for whose objects conditions can hold, by what they say of `object.kind` and `object.apiVersion`.

    They may do so through `vars`.
    """
    texts: Mapping[str, list[frozenset[str]]] = {"kind": [], "apiVersion": []}
    for ask in asked(when, vars):
        match ask.field.path:
            case ("object", "kind" | "apiVersion" as part) if ask.texts:
                texts[part].append(ask.texts)
    left = (kind for kind in kinds if all(kind.kind in each for each in texts["kind"]))
    return tuple(kind for kind in left if all(kind.api_version in each for each in texts["apiVersion"]))
