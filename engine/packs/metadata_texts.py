"""Labels and annotations in what actions write of objects: their values are texts, which the API server asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.actions.base import Body
from engine.cel import Path
from engine.model.text import found
from engine.packs.strings import mappings

IN_QUOTES = "a text in quotes; kubectl reads yes, no, on and off without them as true and false"
_PARTS = {"labels": "label", "annotations": "annotation", "matchLabels": "label"}


def no_texts(bodies: Iterable[Body]) -> Iterator[tuple[Path, str]]:
    """Yield the path of each value of a label or an annotation that is no text, and what is wrong; null removes one.

    Those of the object itself, and in Kubernetes' own kinds those within it, as of a Pod's template: what is in other kinds only
    their schema says.
    """
    for body in bodies:
        known = _of_kubernetes(str((body.target or {}).get("apiVersion", ".")))
        for path, mapping in mappings(body.value):
            part = _PARTS.get(str(path[-1])) if len(path) > 1 else None
            texts = part and (path[-1] == "matchLabels" or path[-2] == "metadata") and (known or path[:-1] == ("metadata",))
            for key, value in mapping.items() if texts else ():
                if not isinstance(value, str | None):
                    yield (*body.path, *path, key), f"the {part} {key} has {found(value)}, not a text"


def _of_kubernetes(api_version: str) -> bool:
    """Return whether a version is of a group of Kubernetes itself, such as `v1`, `apps/v1` and `batch/v1`."""
    group = api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")
