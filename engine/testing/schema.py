"""The schema of `kind: RulePackTest`: what users write to test their rule packs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.kube.faults import Effect, InjectedFault
from engine.model.spec import Spec
from engine.model.text import found
from engine.packs.fields import Duration, ModeName, Period, Text, refusal
from engine.packs.schema import MetadataSpec
from engine.testing.misindented import refuse_misindented, with_misindented

START = "2026-01-01T00:00:00Z"
DEFAULT_NAMESPACE = "default"


def _time(value: Any) -> float:
    try:
        if isinstance(value, str) and (time := datetime.fromisoformat(value)).tzinfo is not None:
            return time.timestamp()
    except ValueError:
        pass
    raise refusal(f"{found(value)} is not a time", "a time with its zone, such as 2026-01-24T22:00:00Z")


def _current_word(value: Any) -> Any:
    """The word for a result that release 0.1 had another one for."""
    return "skipped" if value == "held" else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Time = Annotated[float, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Objects = Annotated[list[dict[str, Any]], BeforeValidator(_as_list, json_schema_input_type=dict[str, Any] | list[dict[str, Any]])]


class KindSpec(Spec):
    """A kind that the embedded cluster serves. Kinds that packs name need no entry, unless something here differs."""

    api_version: Text
    """apiVersion of the kind."""
    kind: Text
    """The kind."""
    plural: Text | None = None
    """Its plural in URLs; guessed where left out."""
    namespaced: bool = True
    """Whether its objects live in namespaces."""
    status_subresource: bool = True
    """Whether its status is a subresource, so that other writes leave it alone."""


class RefSpec(Spec):
    """An object by name."""

    api_version: Text
    """apiVersion of the object."""
    kind: Text
    """Kind of the object."""
    name: Text
    """Name of the object."""
    namespace: str = DEFAULT_NAMESPACE
    """Namespace of the object."""


class FaultSpec(Spec):
    """What happens to a call of the engine instead of an answer. What is left out matches any call."""

    answer: Literal[400, 401, 403, 404, 409, 410, 422, 429, 500, 503, 504, "CutBefore", "CutAfter", "CrashBefore", "CrashAfter"]
    """An HTTP status; or the connection is cut, or the engine crashes, before or after the call takes effect."""
    verb: Literal["discover", "get", "list", "create", "update", "patch", "delete"] | None = None
    """The call's verb; an eviction is a `create` of the subresource `eviction`."""
    kind: Text | None = None
    """Kind of the call's object, such as `Pod`."""
    namespace: Text | None = None
    """Namespace of the call's object."""
    name: Text | None = None
    """Name of the call's object."""
    subresource: Text | None = None
    """Subresource of the call, such as `status` or `eviction`."""
    times: int | None = Field(default=1, ge=1)
    """How many calls meet it; null: all."""
    after: int = Field(default=0, ge=0)
    """How many matching calls pass before it."""
    retry_after: Period | None = None
    """After how long the server asks to be asked again."""

    def injected(self) -> InjectedFault:
        """Return the fault for the cluster in memory."""
        effect = self.answer if isinstance(self.answer, int) else Effect(self.answer)
        where = self.verb, self.kind, self.namespace, self.name, self.subresource
        return InjectedFault(effect, *where, self.times, self.after, self.retry_after)


class ActPattern(Spec):
    """Something that an action did, or came to. What is left out matches anything."""

    pack: Text | None = None
    """The pack."""
    rule: Text | None = None
    """The rule."""
    action: Text | None = None
    """The action, such as `patch`."""
    outcome: Literal["done", "unchanged", "waiting", "retrying", "failed", "refused", "dropped", "audited"] | None = None
    """How it ended."""
    object: Text | None = None
    """The watched object, as `Kind namespace/name`."""
    target: Text | None = None
    """What was acted on, as `Kind namespace/name`."""
    item: Text | None = None
    """The key of the loop's item."""
    detail: Any = None
    """What was answered, or why it came to nothing."""
    diff: list[Any] | None = None
    """The lines `path: old → new` of what a patch changed."""


class EventPattern(Spec):
    """An Event. What is left out matches anything."""

    type: Literal["Normal", "Warning"] | None = None
    """Its type."""
    reason: Any = None
    """Its reason."""
    message: Any = None
    """Its message."""
    regarding: dict[str, Any] | None = None
    """Fields of the object that it is about, such as `{kind: Pod, name: web-0}`."""
    labels: dict[str, Any] | None = None
    """Its labels."""


class MetricPattern(Spec):
    """What was measured in one metric, under one set of labels."""

    name: Text
    """The metric."""
    labels: dict[str, str] = Field(default={})
    """All its labels."""
    value: float | int
    """By how much a counter has grown, what a gauge was set to last, how many values a histogram has observed."""


class AnswerSpec(Spec):
    """What a server answers to HTTP requests from now on. Requests for which nothing is played get 200 and an empty body."""

    status: Annotated[int, Field(ge=200, le=599)] = 200
    """The status code."""
    no_answer: Literal[True] | None = None
    """The server does not answer at all."""
    json_: Any = Field(default=None, alias="json")
    """A body of JSON."""
    text: str | None = None
    """A body of text, in place of `json`."""
    url: str = ""
    """How the URL of these requests begins; any URL where it is left out. Secrets stand there as `(secret NAME/KEY)`."""
    times: int | None = Field(default=1, ge=1)
    """How many requests get it; null: all."""
    retry_after: Period | None = None
    """After how long the server asks to be asked again."""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.text is not None and "json_" in self.model_fields_set:
            raise ValueError("an answer has either json or text")
        return self


class RequestPattern(Spec):
    """An HTTP request. What is left out matches anything; secrets stand in it as `(secret NAME/KEY)`."""

    method: Text | None = None
    """Its method."""
    url: Any = None
    """Its URL."""
    headers: dict[str, Any] | None = None
    """Its headers, with the engine's own Content-Type and Idempotency-Key."""
    json_: Any = Field(default=None, alias="json")
    """Its body, where that is JSON: every field named here must have this value."""
    text: Any = None
    """Its body, where that is text."""


class ExpectSpec(Spec):
    """What must be so now, and what must have happened since the last `expect` of the test.

    Wherever a text is expected, `{$matches: PATTERN}` takes any that the RE2 pattern is found in.
    """

    objects: Objects = Field(default=[])
    """Objects that must be there: every field named here must have this value; null: the field must be absent."""
    absent: list[RefSpec] = Field(default=[])
    """Objects that must not be there."""
    events: list[EventPattern] | None = None
    """All Events since then, in any order: no others may be there. One that was there counts where its count was raised."""
    acts: list[ActPattern] | None = None
    """All that actions did or came to since then, in any order: no others may be there."""
    metrics: list[MetricPattern] | None = None
    """All that was measured since then: nothing else may have been."""
    http: list[RequestPattern] | None = None
    """All HTTP requests since then, in any order, those without an answer included: no others may have been sent."""
    writes: list[Any] | None = None
    """All writes of the engine since then, as `verb Kind namespace/name`, in any order, those of firing records included."""
    rules: dict[str, Annotated[Literal["fired", "skipped", "unknown"], BeforeValidator(_current_word)]] = Field(default={})
    """What the last evaluation of each rule came to; `held` is an older word for `skipped`."""
    nothing: Literal[True] | None = None
    """The engine has written nothing since then, and sent nothing. Firing records and timers of 5 minutes or more are written
    on the watched object too: where only actions matter, expect `acts: []`."""


class StepSpec(Spec):
    """One step: exactly one of these. After each, the engine does everything that is to be done at that time."""

    apply: str | dict[str, Any] | list[dict[str, Any]] | None = None
    """Create objects, or merge them into those that are there, where null removes a field, such as a label: an object, a
    list, or a file of manifests beside this one."""
    delete: RefSpec | None = None
    """Delete an object."""
    advance: Period | None = None
    """Move the clock on; whatever is due in between happens at its time."""
    flags: dict[str, ModeName] | None = None
    """Set feature flags. Packs are in force from the first step on: to test `existing`, set `Disabled` before `apply` and
    `Enforce` after it."""
    params: dict[str, dict[str, Any]] | None = None
    """Set parameters, by pack."""
    restart: Literal[True] | None = None
    """Restart the engine: it remembers nothing but what stands in the cluster."""
    stop: Literal[True] | None = None
    """Stop the engine, as where no operator runs. Until `start` nothing is watched or evaluated and no timer runs out, while the
    steps in between change the cluster and move the clock."""
    start: Literal[True] | None = None
    """Start the engine anew after `stop`: it remembers nothing but what stands in the cluster, and catches up. Flags and params
    that were set meanwhile come into force now."""
    fault: FaultSpec | None = None
    """Let calls that the engine makes from now on fail."""
    http: AnswerSpec | None = None
    """Play what a server answers to HTTP requests."""
    expect: ExpectSpec | None = None
    """Check what has become of it."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("a step has exactly one of " + ", ".join(StepSpec.model_fields))
        return self


Step = Annotated[StepSpec, BeforeValidator(refuse_misindented)]
Steps = Annotated[list[Step], BeforeValidator(lambda steps: with_misindented(steps, StepSpec.model_fields))]


class CaseSpec(Spec):
    """A test: steps in order, on a cluster of its own."""

    name: Text
    """What holds, in a few words."""
    steps: Steps = Field(min_length=1, max_length=500)
    """What happens, and what is expected.

    The cluster has the Namespaces `default` and `kube-system` from the beginning. To leave out what a pack does with them,
    begin with the steps `advance: 1s` and `expect: {}`.
    """


class TestSpec(Spec):
    """The tests."""

    __test__ = False

    packs: list[Text] = Field(default=[])
    """Files or folders of the packs under test, relative to this file; all of this file's folder where left out."""
    start: Time = Field(default=START, validate_default=True)
    """The clock's first time."""
    kinds: list[KindSpec] = Field(default=[])
    """Kinds of which the cluster must know more than their names say."""
    setup: Steps = Field(default=[])
    """Steps that come first in every test."""
    tests: list[CaseSpec] = Field(min_length=1, max_length=500)
    """The tests."""


class RulePackTestSpec(Spec):
    """Tests of rule packs, run by `rulepack test`."""

    api_version: Literal["rules.mlops.dev/v1alpha1"]
    """The version of this schema."""
    kind: Literal["RulePackTest"]
    """`RulePackTest`."""
    metadata: MetadataSpec
    """Its name."""
    spec: TestSpec
    """The tests."""


__all__ = ["Duration", "ExpectSpec", "FaultSpec", "RulePackTestSpec", "StepSpec"]
