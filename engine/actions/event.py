"""The action `emitEvent`: emit an Event on the object that it is about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.actions.target import Target, TargetSpec, missing
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.types import Type
from engine.errors import EvaluationError
from engine.model.names import bad_label, digest
from engine.model.objects import GROUP, Kind, Object, Ref, metadata, ref_of
from engine.model.plan import Answers, Create, Plan, Read
from engine.model.spec import Spec
from engine.model.text import clean, cut

EVENT = Kind("v1", "Event")
MESSAGE_LIMIT = 1024
REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,127}\Z")


class EventSpec(Spec):
    """Emit an Event. A repeat of the same firing is the same Event, so it is there once.

    A rule without `oncePer` raises the Event's count: when its conditions hold again after they did not, and at most once a
    minute while they hold. With `oncePer: object.status.completionTime`, each run has an Event of its own, with a count of 1.
    Events are best effort: one that the API server refuses is tried again aside, and the next action does not wait for it. More
    than 50 for one object within a minute are left out, and one Event says how many.
    """

    type: Literal["Normal", "Warning"]
    """`Normal` or `Warning`."""
    reason: str
    """A short word in CamelCase that a machine can match, such as `TriggerFailed`; may hold `${…}`."""
    message: str
    """What happened, for people; may hold `${…}`; of more than 1024 characters the beginning and the end stay."""
    regarding: TargetSpec | None = None
    """The object that the Event is about; the watched object where it is left out, which otherwise is what it is `related` to."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the Event itself; one that a `${…}` gives null for is left out."""


def _camel(text: str) -> str:
    """Return the words of a text as one in CamelCase."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    return "".join(word[0].upper() + word[1:] for word in words) if words and words[0][0].isalpha() else "TriggerFailed"


@dataclass(frozen=True, slots=True)
class EventAction:
    """`emitEvent`."""

    severity: str
    reason: Template
    message: Template
    regarding: Target | None
    labels: Template

    name: ClassVar[str] = "emitEvent"
    Schema: ClassVar[type[Spec]] = EventSpec
    written: ClassVar[frozenset[str]] = frozenset({"reason", "message", "labels"})
    notifies: ClassVar[bool] = True
    gives: ClassVar[Mapping[str, Type]] = {}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        if "${" not in spec.reason and not REASON.match(spec.reason):
            compiler.fault(
                (*path, "reason"), f"reason {spec.reason!r} is not one word in CamelCase", f"a word such as {_camel(spec.reason)}"
            )
        regarding = None if spec.regarding is None else Target.compile(spec.regarding, compiler, (*path, "regarding"))
        return cls(
            spec.type,
            compiler.template(spec.reason, (*path, "reason")),
            compiler.template(spec.message, (*path, "message")),
            regarding,
            compiler.template(spec.labels, (*path, "labels")),
        )

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: the metadata of Events is their own."""
        return iter(())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: it makes the Event itself."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """create on Events, and get on what it regards; every pack may patch Events, to raise the count of one."""
        own = [Need(EVENT, "create")]
        return [*own, *self.regarding.needs()] if self.regarding else own

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return '': an Event is named by its cause, so a repeat is the same one."""
        return ""

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """What the Event regards, for its uid: without it, user interfaces do not show the Event."""
        return (self.regarding.read(scope),) if self.regarding else ()

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """Create an Event for each object that it regards, named by its cause."""
        about: Sequence[Object] = [cause.object]
        if self.regarding is not None:
            read = self.regarding.read(scope)
            about = live[read]
            if not about and read.label_selector is None:
                return Plan(outcome=missing(read, scope))
        reason = self.reason.render(scope)
        if not REASON.match(reason):
            raise EvaluationError(f"reason {reason!r} is not one word in CamelCase, such as TriggerFailed")
        labels = {key: value for key, value in self.labels.render(scope).items() if value is not None}
        for key, value in labels.items():
            if problem := bad_label(key, value if isinstance(value, str) else str(value)):
                raise EvaluationError(problem)
        content = Content(self.severity, reason, self.message.render(scope), labels)
        return Plan([event(cause, found, content, scope.value("now")) for found in about])


@dataclass(frozen=True, slots=True)
class Content:
    """What an Event says."""

    type: str
    reason: str
    message: str
    labels: Mapping[str, str]


def event(cause: Cause, about: Object, content: Content, now: datetime) -> Create:
    """The step that creates an Event about an object.

    Its name comes from the cause: pack, rule, firing key, loop item and reason; for a rule without a firing key the
    message too. core/v1 Events are used since user interfaces read involvedObject.
    """
    ref = ref_of(about)
    repeat = () if cause.key else (content.message,)
    uid = cause.ref.uid
    name = digest(uid, ref.uid, cause.pack, cause.rule, cause.key, cause.item, content.reason, *repeat)
    namespace = ref.namespace or "default"
    full = f"{ref.name[:200].rstrip('-.')}.{name}"
    involved = _reference(ref)
    if version := metadata(about).get("resourceVersion"):
        involved["resourceVersion"] = version
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": full, "namespace": namespace, **({"labels": dict(content.labels)} if content.labels else {})},
        "involvedObject": involved,
        **({} if cause.ref == ref or (cause.hides and cause.ref.kind == GROUP) else {"related": _reference(cause.ref)}),
        "type": content.type,
        "reason": content.reason,
        "message": cut(clean(content.message), MESSAGE_LIMIT),
        "source": {"component": "rulepack"},
        "reportingComponent": "rulepack",
        "reportingInstance": f"{cause.pack}.{cause.rule}",
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }
    return Create(Ref(EVENT, namespace, full), body, cause.emission, cause.hides)


def _reference(ref: Ref) -> dict[str, str]:
    """An ObjectReference (kubernetes: core/v1)."""
    fields = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "name": ref.name, "uid": ref.uid}
    return {**fields, **({"namespace": ref.namespace} if ref.namespace else {})}
