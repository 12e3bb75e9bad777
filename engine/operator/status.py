"""Telling whoever applied a ConfigMap with rule packs whether they are in force, on the ConfigMap itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.kube.act import Actor
from engine.model.merge import canonical
from engine.model.names import digest
from engine.model.objects import Object, annotations_of, dig, ref_of
from engine.model.plan import Annotate
from engine.reconcile.record import write_own

STATUS = "rules.mlops.dev/status"
OK = "ok"
LIMIT = 16_384
"""Characters of the annotation: all annotations of an object together may have 256 KiB."""


async def report_status(actor: Actor, config_map: Object, faults: Sequence[str], now: float) -> None:
    """Bring the status annotation up to date, and emit one Warning Event for each broken version of the data.

    Raises ApiError and NotLeading. Nothing is written where the annotation says it already.
    """
    text = "\n".join(faults) or OK
    if len(text) > LIMIT:
        text = text[: LIMIT - 1] + "…"
    if annotations_of(config_map).get(STATUS) == text:
        return
    if faults:
        cause = Cause("rulepack", "load", config_map, ref_of(config_map), digest(canonical(dig(config_map, ("data",), {}))))
        content = Content("Warning", "RulePackInvalid", text, {})
        await actor.perform(event(cause, config_map, content, datetime.fromtimestamp(now, UTC)), dry_run=False)
    await write_own(actor, config_map, Annotate({STATUS: text}))
