"""The schema of one rule of a pack: what users write, before anything in it is compiled."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from engine.actions.lookup import LookupSpec
from engine.model.spec import Spec
from engine.packs.aggregate import AggregateSpec, UrgentSpec
from engine.packs.fields import (
    Duration,
    Identifier,
    LoopVariable,
    ModeName,
    Name,
    Period,
    RuleName,
    Text,
    occasion,
    refusal,
    unfit,
)
from engine.packs.schedule import ScheduleSpec


def _as_list(value: Any) -> Any:
    if not isinstance(value, str | list):
        raise unfit(value, "a CEL condition as text, or a list of them")
    if isinstance(value, str) and re.match(r"\s*- .*\n", value):
        raise refusal("a list stands here as one text", "the list without '|' or '>' before it")
    return [value] if isinstance(value, str) else value


def _as_policy(value: Any) -> Any:
    if not isinstance(value, str | dict | ExistingSpec):
        raise unfit(value, "CatchUp, Ignore or a mapping")
    return {"policy": value} if isinstance(value, str) else value


class ExistingSpec(Spec):
    """What becomes of what was so before the rule came into force. That time outlives restarts and changes of leader.

    A rule comes into force when it is first there, and anew whenever its mode becomes less strict: from Audit or Disabled to
    Enforce, or from Disabled to Audit. With `Ignore`, what was only audited is then left; with `CatchUp` it is done. The time is
    kept in annotations of the Lease `rulepack-state`. What happened while the engine was down is later, and caught up. Clocks
    differ, so what is up to 5 s older counts as later too.
    """

    policy: Literal["CatchUp", "Ignore"] | None = None
    """`CatchUp` acts on it as if it were new, `Ignore` never.

    Where left out, `Ignore` for a rule that has `oncePer` and `ageFrom`, and no `maxAge`; otherwise `CatchUp`.
    """
    max_age: Period | None = None
    """`CatchUp` only with what is no older than this when the rule comes into force."""
    age_from: Text | None = None
    """CEL that gives the time since when it is so, such as `object.status.completionTime`.

    Where left out, the object's creation: an object that is older than the rule is then left alone whatever it becomes.
    """


class ThrottleSpec(Spec):
    """First at once, then at most once per interval; the last state always lands."""

    every: Period
    """The interval. From 5 minutes on, a restart goes on with it, in the firing record; a shorter one then begins anew.

    That of a group is on the group's target. It begins anew too with `on: Delete`, and where a rule without `oncePer` writes
    nothing on the object.
    """
    urgent: UrgentSpec | None = None
    """Of an aggregate: what does not wait for it."""


class LimitsSpec(Spec):
    """How much one action may touch."""

    max_targets: int | None = Field(default=None, ge=1)
    """At most so many targets in one firing."""
    on_exceed: Literal["Fail", "Truncate"] = "Fail"
    """`Fail` touches none of them; `Truncate` touches the first ones."""


class RetrySpec(Spec):
    """How often actions are tried again that the API server, a right, a quota or a webhook stands in the way of.

    Where nothing else is said, without end: an outage of any length loses nothing that the conditions are still true of. They
    are evaluated before each attempt, also for the items of a `loop` that wait while others are done.
    """

    limit: int | None = Field(default=None, ge=0, le=100)
    """At most so many further attempts of an action before it counts as failed; any number where left out."""
    backoff: Period = 2.0
    """The first pause; each further one is twice as long."""
    max_backoff: Period = 300.0
    """No pause is longer."""
    timeout: Period | None = None
    """How long actions may wait for what they act on (a guard, readiness) before they count as failed; for ever where left out.

    The time in which something stands in the way, such as an outage, does not count, nor does that of the action `wait`, which
    has its own limit, `atMost`.
    """


class RuleSpec(Spec):
    """When this is true of an object, do that."""

    name: Name
    """The rule's name; unique in the pack."""
    previous_names: list[RuleName] = Field(default=[], max_length=10)
    """Names that it had before, in another pack as `pack/rule`: what is on record under them stays done, and what was
    generated under them is the rule's own."""
    description: str = ""
    """What it is for."""
    extends: Name | None = None
    """Another rule of the pack, which extends none itself: this rule has all that it does not give itself from that one.

    The names of `vars` and `lookup` are joined; where both have one, that of this rule counts. Never from another rule are
    `previousNames` and `description`, nor what says when the rule is evaluated: `event`, `for`, `schedule`, `throttle`, `resync`.
    """
    vars: dict[Identifier, Text] = Field(default={}, max_length=50)
    """Named expressions, read as `vars.<name>`, evaluated when first needed. One may use others, in any order."""
    when: Annotated[list[Text], BeforeValidator(_as_list, json_schema_input_type=Text | list[Text])] = Field(
        default=[], min_length=1, max_length=50
    )
    """CEL conditions that must all be true: a list, or a single one."""
    event: Literal["Change", "Delete"] | None = None
    """`Change` (where left out) evaluates objects as they are; `Delete` evaluates the last state of one that is gone."""
    on: Literal["Change", "Delete"] | None = Field(default=None, json_schema_extra={"deprecated": True})
    """The earlier name of `event`. kubectl reads an unquoted `on` as true."""
    hold: Duration = Field(default=0.0, alias="for")
    """The conditions must have held this long, counted from when the operator first sees them hold. A time in the object does not
    count, such as that of a transition: compare that with `now`. From 5 minutes on, a restart goes on with it; a shorter time
    then begins anew.

    For that it is put in the firing record once it has held for a minute, in one write; one more when it no longer holds.
    """
    schedule: ScheduleSpec | None = None
    """Evaluate objects only at the times of a cron expression: the rule fires once for each object and time."""
    once_per: Annotated[Text, BeforeValidator(occasion)] | None = None
    """CEL that names the occasion: the rule fires when the value is another than when it last fired for the object.

    Only the last value is remembered, also over restarts: where it goes from A to B and back to A, the rule fires three times.
    """
    existing: Annotated[
        ExistingSpec, BeforeValidator(_as_policy, json_schema_input_type=Literal["CatchUp", "Ignore"] | ExistingSpec)
    ] = ExistingSpec()
    """What becomes of what was so before the rule came into force; short: `CatchUp` or `Ignore`.

    A rule without `oncePer` does what it does again after a restart, which changes nothing where it has been done.
    """
    lookup: dict[Identifier, LookupSpec] = Field(default={}, max_length=20)
    """Other objects to read, as `lookup.<name>`: one object or null by name, a list by labelSelector.

    Where `targets` grant `list` and `watch` on their kind, a change of them evaluates the rule again. Nothing is read where a
    clause of `when` is false without it.
    """
    aggregate: AggregateSpec | None = None
    """Count the objects in groups, and act for each group."""
    loop: Text | None = None
    """CEL that gives a list: the actions run for each item. What makes the conditions false belongs in no item of it, but in
    another rule: items that wait are dropped then. A filter in the loop leaves out single items."""
    loop_var: LoopVariable = "item"
    """What expressions call the item."""
    loop_key: Text | None = None
    """CEL that names an item on record; its whole content where left out."""
    throttle: ThrottleSpec | None = None
    """First at once, then at most once per interval; the last state always lands."""
    resync: Annotated[Duration, Field(ge=1)] | None = None
    """Evaluate again after this time, also without a change."""
    limits: LimitsSpec = LimitsSpec()
    """How much one action may touch."""
    actions: list[dict[str, Any]] = Field(min_length=1, max_length=50)
    """What to do, in order: each entry is one action, with an optional `when` and `register`. Annotations and labels of the
    watched object are written last, with the firing record, but no later than what an action after them writes on that object.
    Put an action that makes the conditions false last: a crash after it may leave out what follows. In a `loop` even that may
    leave out the items after it."""
    retry: RetrySpec = RetrySpec()
    """How often actions are tried again that something stands in the way of."""
    rescue: list[dict[str, Any]] = Field(default=[], max_length=50)
    """What to do where the actions have failed for good; expressions read why as `error`."""
    mode: ModeName | None = None
    """A mode of its own, where it is to be stricter than that of its pack."""

    @model_validator(mode="after")
    def _one_event(self) -> Self:
        if self.event is not None and self.on is not None:
            raise refusal("event and on say the same", "only event")
        return self
