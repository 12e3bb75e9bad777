"""Steps and values in words."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from engine.cel.conversions import to_string
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Step
from engine.model.send import Send
from engine.model.text import clean, cut
from engine.reconcile.explain import Value

SHOWN = 200
"""Characters of a value that are shown."""


def step_text(step: Step | None) -> str:
    """A step in a few words."""
    match step:
        case Patch():
            return f"{step.format} patch of {step.target}" + ("'s status" if step.subresource else "")
        case Delete():
            how = "" if step.propagation == "Background" else f" ({step.propagation})"
            return f"{'evict' if step.evict else 'delete'} {step.target}{how}"
        case Create():
            event = step.body
            return f"Event {event.get('type')} {event.get('reason')}: {event.get('message')}"
        case Measure():
            labels = ",".join(f"{key}={value}" for key, value in sorted(step.labels.items()))
            return f"metric {step.metric}{{{labels}}} {step.value:g}"
        case Send():
            return str(step)
        case Annotate():
            parts = {"annotations": dict(step.annotations), "labels": dict(step.labels)}
            return json.dumps({name: values for name, values in parts.items() if values}, ensure_ascii=False, sort_keys=True)
    return "nothing"


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    return to_string(value) if isinstance(value, datetime | timedelta) else value


def value_text(value: Value) -> str:
    """Return what an expression read, or why there is nothing, on one line."""
    if not value.there:
        return f"no answer: {value.value}" if value.value else "absent"
    whole = plain(value.value)
    text = json.dumps(whole[:SHOWN] if isinstance(whole, str) else whole, ensure_ascii=False, default=str)
    return cut(clean(text), SHOWN)
