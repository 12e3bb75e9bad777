"""Which names a cluster accepts, so that a user's text is refused before it becomes part of a request."""

from __future__ import annotations

import hashlib
import re

from engine.model.objects import Ref
from engine.model.text import shown

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}\Z")
_API_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*\Z")

_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")


def misnamed(ref: Ref) -> str:
    """Why a reference can name no object, or '' where it can.

    The rules are those of the API server: kubernetes, apimachinery/pkg/util/validation/validation.go.
    """
    if not _API_VERSION.match(ref.kind.api_version):
        return f"apiVersion {shown(ref.kind.api_version)} is not of the form v1 or group/v1"
    if not _KIND.match(ref.kind.kind):
        return f"kind {shown(ref.kind.kind)} is not the name of a kind, such as Pod"
    if not subdomain(ref.name):
        return f"name {shown(ref.name)} is not a name: lower case letters, digits, '-' and '.', at most 253"
    if ref.namespace and (len(ref.namespace) > 63 or not _LABEL.match(ref.namespace)):
        return f"namespace {shown(ref.namespace)} is not a name: lower case letters, digits and '-', at most 63"
    return ""


def subdomain(text: str) -> bool:
    """Whether a text can be the name of an object, of most kinds."""
    return len(text) <= 253 and _SUBDOMAIN.match(text) is not None


def dns_label(text: str) -> bool:
    """Whether a text can be the name of a namespace, a rule pack or a rule."""
    return len(text) <= 63 and _LABEL.match(text) is not None


def bad_label(key: str, value: str) -> str:
    """Why `key: value` can be no label, or '' where it can; checked before it becomes part of a selector."""
    if not _LABEL_KEY.match(key):
        return f"label key {shown(key)} is not a label key, such as app or example.com/app"
    if not _LABEL_VALUE.match(value):
        return f"label value {shown(value)} of {key} is not one: letters, digits, '-', '_' and '.', at most 63"
    return ""


def digest(*parts: str) -> str:
    """16 hexadecimal digits that name a cause: the same parts give the same digest, on every machine and version."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
