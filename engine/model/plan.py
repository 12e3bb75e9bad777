"""A plan is data: the concrete steps that would bring a cluster to where the rules want it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from engine.model.merge import merged
from engine.model.objects import Kind, Object, Ref, metadata, ref_of
from engine.model.outcome import Done, Outcome
from engine.model.send import Send


class LookupWatch(NamedTuple):
    """What is watched to answer a lookup: a kind, a namespace ('' for all that are watched), label and field selectors."""

    kind: Kind
    namespace: str = ""
    labels: str = ""
    fields: str = ""


class Read(NamedTuple):
    """What must be seen before there can be a plan: one object by name, or all that a selector picks.

    `namespaces` selects the namespaces of these by labels; None: that of `ref`. `watch` answers a lookup that is
    followed; it is None for what is read live. With `entry` it matters only which objects are selected. `fields` is a field
    selector beside that of labels.
    """

    ref: Ref
    label_selector: str | None = None
    namespaces: str | None = None
    watch: LookupWatch | None = None
    entry: bool = False
    fields: str = ""


Answers = Mapping[Read, Sequence[Object]]
"""What reads have found; an empty sequence: nothing."""


class Patch(NamedTuple):
    """Change one object, or its status alone. `resource_version`, where given, makes it conditional on what was seen."""

    target: Ref
    body: Any
    format: Literal["merge", "json", "apply"] = "merge"
    resource_version: str = ""
    force: bool = False
    before: Object | None = None
    subresource: Literal["", "status"] = ""


Propagation = Literal["Background", "Foreground", "Orphan"]


class Delete(NamedTuple):
    """Remove one object, only the one with this uid; `evict` asks the Eviction API, which honours PodDisruptionBudgets.

    `propagation` says what becomes of its dependents; with `resource_version` it goes only as it was seen.
    """

    target: Ref
    evict: bool = False
    propagation: Propagation = "Background"
    resource_version: str = ""


class Emission(StrEnum):
    """What becomes of an Event that is there already, since it was emitted for its cause before."""

    ONCE = "Once"
    """Nothing: it was emitted."""
    REPEAT = "Repeat"
    """Its count is raised, at most once a minute."""
    ANEW = "Anew"
    """Its count is raised at once: it has happened again."""


class Create(NamedTuple):
    """Create an Event under a name derived from its cause, so that AlreadyExists means that it was emitted before.

    It `hides` where its rule reads Secrets, which an answer about it may quote.
    """

    target: Ref
    body: Object
    emission: Emission = Emission.ONCE
    hides: bool = False


class Measure(NamedTuple):
    """Add to a metric that the pack declares: counter and gauge add or set `value`, a histogram observes it."""

    metric: str
    labels: Mapping[str, str]
    value: float


class Annotate(NamedTuple):
    """Metadata of the watched object itself; joined with the firing record into one patch. None removes a key."""

    annotations: Mapping[str, str | None] = {}
    labels: Mapping[str, str | None] = {}


def joined(steps: Iterable[Annotate]) -> Annotate:
    """Several steps on the watched object as one; a later one wins."""
    annotations: dict[str, str | None] = {}
    labels: dict[str, str | None] = {}
    for step in steps:
        annotations.update(step.annotations)
        labels.update(step.labels)
    return Annotate(annotations, labels)


def own_patch(obj: Object, own: Annotate) -> Patch:
    """The patch of the watched object that brings its metadata to what `own` says."""
    parts = {"annotations": dict(own.annotations), "labels": dict(own.labels)}
    return Patch(ref_of(obj), {"metadata": {name: values for name, values in parts.items() if values}}, before=obj)


Step = Patch | Delete | Create | Measure | Annotate | Send


class Plan(NamedTuple):
    """What one action wants, given what it read: the steps to take now, and what holds once they are taken.

    `outcome` is Done with what `register` keeps, Waiting where more is to be done later, or Refused; in place of Done comes
    the answer to a step that has one. `targets` counts the objects that are still to be changed, those of `steps` included.
    `state` is what the action has to remember until then.
    """

    steps: Sequence[Step] = ()
    outcome: Outcome = Done()
    targets: int = 0
    state: Any = None


class OwnWrite(NamedTuple):
    """What the engine itself wrote last on a watched object, until the watch has shown it.

    Where the object was `gone` by then, nothing is written: it is what the engine has done for it and could not put on record.
    """

    patch: Object
    resource_version: str = ""
    gone: bool = False

    def over(self, obj: Object) -> Object:
        """The object with our own write on it, where the object is from before that write.

        resourceVersions of one resource may be compared as numbers (KEP-5504); where one is not a number, what the
        watch says stands as it is.
        """
        version = str(metadata(obj).get("resourceVersion", ""))
        if version.isdecimal() and self.resource_version.isdecimal() and int(version) < int(self.resource_version):
            after: Object = merged(obj, self.patch)
            return after
        return obj
