"""Merge patch and JSON patch, as the API server applies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from engine.kube.embedded import answers
from engine.model.merge import merged
from engine.model.objects import Object


class _Replace(jsonpatch.ReplaceOperation):
    """The API server's library replaces keys that are not there, against RFC 6902 (tried on v1.34)."""

    def apply(self, obj: Any) -> Any:
        parent, key = self.pointer.to_last(obj)
        if isinstance(parent, dict):
            parent[key] = self.operation["value"]
            return obj
        return super().apply(obj)


class _JsonPatch(jsonpatch.JsonPatch):
    operations = MappingProxyType({**jsonpatch.JsonPatch.operations, "replace": _Replace})


def merge_patched(obj: Object, patch: Any) -> dict[str, Any]:
    """Return an object under a merge patch (RFC 7386); what the patch leaves alone is shared with it. Raises ApiError 400."""
    if not isinstance(patch, Mapping):
        raise answers.bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    result: dict[str, Any] = merged(obj, patch)
    return result


def json_patched(obj: dict[str, Any], patch: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    """Return an object, changed in place by a JSON patch (RFC 6902). Raises ApiError 422 where an operation does not fit it."""
    if isinstance(patch, Mapping):
        raise answers.bad_request("error decoding patch: json: cannot unmarshal object into Go value of type []jsonPatchOp")
    try:
        result: dict[str, Any] = _JsonPatch(list(patch)).apply(obj, in_place=True)
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise answers.unprocessable() from error
    return result
