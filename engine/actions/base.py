"""What an action is: a schema, a description of what it needs and writes, and a pure plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from engine.cel import Compiler, Path, Scope
from engine.cel.types import Type
from engine.model.objects import Kind, Object, Ref
from engine.model.plan import Answers, Emission, Plan, Read
from engine.model.spec import Spec


class Cause(NamedTuple):
    """Why an action runs: effects are named by it, never by the wall clock.

    `ref` names the object; `key` is the firing key: what `oncePer` gave, or '' for a rule without it; `item` is the loop item's.
    `emission` says what becomes of Events that the same cause has had before.
    `waited` is for how many seconds the item has waited so far.
    It `hides` where the rule reads Secrets, which texts about it may quote.
    `earlier` are the packs and names that a rule which generates had before, `claimed` those of them that another rule has now.
    """

    pack: str
    rule: str
    object: Object
    ref: Ref
    key: str
    item: str = ""
    emission: Emission = Emission.ONCE
    waited: float = 0.0
    earlier: tuple[tuple[str, str], ...] = ()
    claimed: tuple[tuple[str, str], ...] = ()
    hides: bool = False


class Need(NamedTuple):
    """A right that an action needs: a verb on a kind; `kind` is None where only the running rule knows it.

    Where it is `followed`, `list` and `watch` stand for it in a pack that grants those. With a `name` it is a right on that one
    object of the pack's own namespace, which no `targets` declare.
    """

    kind: Kind | None
    verb: str
    followed: bool = False
    name: str = ""


class MetadataWrite(NamedTuple):
    """Annotations, labels or other fields that an action sets, as they are written in a pack.

    `target` is the `target` of the spec, None for the watched object; `part` is `annotations`, `labels` or `fields`; `path` is
    where `entries` are below the action's spec, and `below` the path of these fields in the object, ending in a dot.
    """

    target: Mapping[str, Any] | None
    part: str
    path: Path
    entries: Mapping[str, Any]
    below: str = ""


class Body(NamedTuple):
    """An object, or a part of one, that an action writes as it stands in a pack.

    `target` has its apiVersion and kind, None for the watched object; `path` is where `value` is below the action's spec.
    """

    target: Mapping[str, Any] | None
    path: Path
    value: Mapping[str, Any]


def written_parts(spec: Mapping[str, Any], body: Any, path: Path) -> Iterator[MetadataWrite]:
    """Yield the annotations and labels in a mapping that lies at a path below a spec, for each of its targets."""
    several = spec.get("targets")
    for part in ("annotations", "labels"):
        if isinstance(body, Mapping) and isinstance(body.get(part), Mapping):
            for each in several if isinstance(several, list) else [spec.get("target")]:
                yield MetadataWrite(each if isinstance(each, Mapping) else None, part, (*path, part), body[part])


def written_fields(spec: Mapping[str, Any], body: Any, path: Path, below: str = "") -> Iterator[MetadataWrite]:
    """Yield the other fields in a mapping that lies at a path below a spec, a list being one value."""
    target = spec.get("target")
    if isinstance(body, Mapping):
        values = {key: value for key, value in body.items() if isinstance(key, str) and not isinstance(value, Mapping)}
        if values:
            yield MetadataWrite(target if isinstance(target, Mapping) else None, "fields", path, values, below)
        for key, value in body.items():
            if isinstance(key, str) and (below or key != "metadata"):
                yield from written_fields(spec, value, (*path, key), f"{below}{key}.")


class Effect(Protocol):
    """What a rule does for an item, as it is planned and carried out. Nothing outside its file knows its name."""

    name: ClassVar[str]
    notifies: ClassVar[bool]
    """Whether it only notifies people: it is in nobody's way, and what it fails at does not fail the rule."""

    def needs(self) -> Sequence[Need]:
        """Return the rights it may use, for `targets`, `rulepack rbac` and lint."""
        ...

    def writes_own(self) -> bool:
        """Return whether it writes metadata of the watched object itself."""
        ...

    def repeated(self, counters: Collection[str]) -> str:
        """Return what a repeat does that is not harmless, in words that follow "and …"; '' where a repeat is harmless.

        `counters` are the pack's metrics that add up.
        """
        ...

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """What must be read live before `plan`, in turn; `live` has the answers to those that came before.

        Raises EvaluationError where an expression has no answer.
        """
        ...

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: Any) -> Plan:
        """Decide, and write nothing. `live` answers each read (an empty sequence: not found).

        `state` is what the action's own last plan for this firing gave as its state, of a type of the action's own; None at
        first. Raises EvaluationError where an expression has no answer.
        """
        ...


class Action(Effect, Protocol):
    """One compiled action of a rule. Implementations are listed in `engine.actions.ACTIONS`.

    An action describes itself. There are no defaults, so a new action states each of these, and lint, rights, retries and dry
    run follow from them.
    """

    Schema: ClassVar[type[Spec]]
    written: ClassVar[frozenset[str]]
    """Keys of the spec whose templates become part of what is written."""
    gives: ClassVar[Mapping[str, Type]]
    """The fields of its result, with their types; without any, its result is null."""

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile a parsed spec; what does not compile becomes a fault of the compiler at its place under `path`."""
        ...

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield the annotations, labels and fields that a spec, as it stands in a pack, sets."""
        ...

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield the objects, or parts of them, in a spec as it stands in a pack, which lint compares with the kind's schema."""
        ...
