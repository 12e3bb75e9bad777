"""What the API server refuses as invalid, for objects of every kind (kubernetes: apimachinery/pkg/util/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.kube.embedded import answers
from engine.kube.embedded.kinds import EVENT, NAMESPACE, SERVICE
from engine.model.objects import Kind, Object, dig, kind_of, metadata

ANNOTATIONS_LIMIT = 256 * 1024

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_NAME_PART = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SERVICE = r"[a-z]([-a-z0-9]*[a-z0-9])?"

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_SERVICE_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end "
    f"with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_SERVICE}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    f"an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_NAME_PART_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME_PART}')"
)
#: Pattern, explanation and longest length of the names of a kind.
_NAMES = {NAMESPACE: (_LABEL, _LABEL_TEXT, 63), SERVICE: (_SERVICE, _SERVICE_TEXT, 63)}
_ANY_NAME = (_SUBDOMAIN, _SUBDOMAIN_TEXT, 253)
_KEY_LENGTH = _VALUE_LENGTH = 63


def check(obj: Object) -> None:
    """Raise ApiError 422 where the metadata (or, of an Event, the object it is about) is not what the API server accepts."""
    kind, meta = kind_of(obj), metadata(obj)
    faults = [*_name_faults(kind, meta["name"]), *_label_faults(meta), *_annotation_faults(meta), *_event_faults(kind, obj)]
    if faults:
        raise answers.invalid(kind, meta["name"], *faults)


def undecodable(obj: Object) -> str:
    """Return why the API server cannot decode an object, '' where it can: labels and annotations map strings to strings."""
    for field in ("labels", "annotations"):
        entries = metadata(obj).get(field) or {}
        if not isinstance(entries, Mapping) or not all(isinstance(value, str) for value in entries.values()):
            return f"json: cannot unmarshal into Go struct field ObjectMeta.metadata.{field} of type string"
    return ""


def _name_faults(kind: Kind, name: str) -> Iterator[str]:
    pattern, text, longest = _NAMES.get(kind, _ANY_NAME)
    if len(name) > longest:
        yield f'metadata.name: Invalid value: "{name}": must be no more than {longest} characters'
    elif not re.fullmatch(pattern, name):
        yield f'metadata.name: Invalid value: "{name}": {text}'


def _label_faults(meta: Mapping[str, Any]) -> Iterator[str]:
    for key, value in (meta.get("labels") or {}).items():
        yield from _key_faults("metadata.labels", key)
        if len(value) > _VALUE_LENGTH:
            yield f'metadata.labels: Invalid value: "{value}": must be no more than {_VALUE_LENGTH} characters'
        elif not re.fullmatch(_VALUE, value):
            yield f'metadata.labels: Invalid value: "{value}": {_VALUE_TEXT}'


def _annotation_faults(meta: Mapping[str, Any]) -> Iterator[str]:
    annotations = meta.get("annotations") or {}
    for key in annotations:
        yield from _key_faults("metadata.annotations", key.lower())
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        yield f"metadata.annotations: Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"


def _key_faults(field: str, key: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(_SUBDOMAIN, prefix):
        yield f'{field}: Invalid value: "{key}": prefix part {_SUBDOMAIN_TEXT}'
    if len(name) > _KEY_LENGTH:
        yield f'{field}: Invalid value: "{key}": name part must be no more than {_KEY_LENGTH} characters'
    elif not re.fullmatch(_NAME_PART, name):
        yield f'{field}: Invalid value: "{key}": {_NAME_PART_TEXT}'


def _event_faults(kind: Kind, obj: Object) -> Iterator[str]:
    """Yield what is wrong with an Event's namespace: that of its object, or `default` (apis/core/validation/events.go)."""
    if kind != EVENT:
        return
    about, own = dig(obj, ("involvedObject", "namespace"), ""), metadata(obj).get("namespace")
    if own != (about or "default"):
        yield f'involvedObject.namespace: Invalid value: "{about}": does not match event.namespace'
