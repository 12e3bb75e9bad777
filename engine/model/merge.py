"""JSON merge patch (RFC 7386), without changing anything in place."""

from __future__ import annotations

import json
from typing import Any

from engine.model.mappings import is_mapping


def merged(value: Any, patch: Any) -> Any:
    """What `value` becomes under a merge patch; it is `value` itself where the patch changes nothing."""
    if not is_mapping(patch):
        return value if value == patch and type(value) is type(patch) else patch
    base = value if is_mapping(value) else {}
    result, changed = dict(base), not is_mapping(value)
    for key, part in patch.items():
        if part is None:
            changed |= result.pop(key, None) is not None or key in base
        elif type(part) is str:  # as nearly all are
            if base.get(key) != part:
                result[key], changed = part, True
        else:
            new = merged(base.get(key), part)
            if key not in base or new is not base[key]:
                result[key], changed = new, True
    return result if changed else value


def changes(value: Any, patch: Any) -> bool:
    """Whether a merge patch would change `value`.

    Removing keys of a mapping that is not there changes nothing: the empty mapping that the RFC leaves behind is not kept
    by the API server for labels and annotations.
    """
    if not (type(patch) is type(value) is dict or (is_mapping(patch) and is_mapping(value))):
        return merged(value, patch) is not value
    for key, part in patch.items():
        if part is None:
            changed = key in value
        elif type(part) is str:
            changed = value.get(key) != part
        else:
            changed = changes(value[key], part) if key in value else not _only_removes(part)
        if changed:
            return True
    return False


def _only_removes(patch: Any) -> bool:
    return is_mapping(patch) and bool(patch) and all(part is None or _only_removes(part) for part in patch.values())


def added(first: Any, second: Any) -> Any:
    """One merge patch that does what two do, one after the other."""
    if not is_mapping(first) or not is_mapping(second):
        return second
    return {**first, **{key: added(first[key], part) if key in first else part for key, part in second.items()}}


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def canonical(value: Any) -> str:
    """A JSON text of a value that is the same for equal values, whatever the order of their keys."""
    return _CANONICAL.encode(value)
