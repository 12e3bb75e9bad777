"""Steps in words."""

from __future__ import annotations

import json

from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Step


def step_text(step: Step | None) -> str:
    """A step in a few words."""
    match step:
        case Patch():
            return f"{step.format} patch of {step.target}" + ("'s status" if step.subresource else "")
        case Delete():
            return f"{'evict' if step.evict else 'delete'} {step.target}"
        case Create():
            event = step.body
            return f"Event {event.get('type')} {event.get('reason')}: {event.get('message')}"
        case Measure():
            labels = ",".join(f"{key}={value}" for key, value in sorted(step.labels.items()))
            return f"metric {step.metric}{{{labels}}} {step.value:g}"
        case Annotate():
            parts = {"annotations": dict(step.annotations), "labels": dict(step.labels)}
            return json.dumps({name: values for name, values in parts.items() if values}, ensure_ascii=False, sort_keys=True)
    return "nothing"
