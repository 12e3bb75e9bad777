"""Kubernetes' named formats: `format.dns1123Label().validate(name)` (k8s.io/apimachinery, pkg/util/validation).

`byte`, `date` and `datetime` are as loose or strict as k8s.io/kube-openapi, pkg/validation/strfmt, has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from engine.cel import types
from engine.cel.declarations import KUBERNETES_FORMAT, function
from engine.cel.libraries.url import is_url
from engine.cel.operators import MAX_TEXT
from engine.cel.values import NONE, Mismatch, Optional, register

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


@dataclass(frozen=True, slots=True)
class Format:
    """A format, and what says why a text does not have it."""

    name: str
    faults: Callable[[str], list[str]]


register(Format, types.FORMAT)


def _pattern(pattern: str, longest: int, words: str, *, prefix: bool = False) -> Callable[[str], list[str]]:
    compiled = re.compile(pattern, re.ASCII)

    def faults(text: str) -> list[str]:
        if len(text) > longest:
            return [f"must be no more than {longest} characters"]
        whole = f"{text[:-2]}a" if prefix and len(text) > 1 and text.endswith("-") else text  # as maskTrailingDash has it
        return [] if compiled.fullmatch(whole) else [words]

    return faults


def _parsed(parse: Callable[[str], object], words: str) -> Callable[[str], list[str]]:
    def faults(text: str) -> list[str]:
        try:
            parse(text)
        except (Mismatch, ValueError):
            return [words]
        return []

    return faults


def _dated(rest: str, words: str) -> Callable[[str], list[str]]:
    """What says why a text is no date with a certain rest behind it."""
    compiled = re.compile(rf"(\d{{4}}-\d{{2}}-\d{{2}}){rest}", re.ASCII)

    def parse(text: str) -> date:
        match = compiled.fullmatch(text)
        return date.fromisoformat(match[1] if match else "")

    return _parsed(parse, words)


def _qualified(text: str) -> list[str]:
    """The faults of a name with or without a prefix, such as `example.com/name`."""
    prefix, slash, name = text.rpartition("/")
    found = []
    if "/" in prefix:
        return ["a qualified name must consist of a name, with an optional DNS subdomain and '/' before it"]
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash:
        found += [f"prefix part {fault}" for fault in _SUBDOMAIN(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append("name part must be no more than 63 characters")
    elif not re.fullmatch(_NAME, name, re.ASCII):
        found.append("name part must consist of letters, digits, '-', '_' or '.', and begin and end with a letter or digit")
    return found


_LABEL_WORDS = "a lowercase RFC 1123 label must consist of a-z, 0-9 or '-', and begin and end with a letter or digit"
_SUBDOMAIN_WORDS = "a lowercase RFC 1123 subdomain must consist of a-z, 0-9, '-' or '.', and begin and end with a letter or digit"
_1035_WORDS = "a DNS-1035 label must consist of a-z, 0-9 or '-', begin with a letter, and end with a letter or digit"
_SUBDOMAIN = _pattern(rf"{_LABEL}(\.{_LABEL})*", 253, _SUBDOMAIN_WORDS)
_FAULTS: Mapping[str, Callable[[str], list[str]]] = {
    "dns1123Label": _pattern(_LABEL, 63, _LABEL_WORDS),
    "dns1123Subdomain": _SUBDOMAIN,
    "dns1035Label": _pattern("[a-z]([-a-z0-9]*[a-z0-9])?", 63, _1035_WORDS),
    "qualifiedName": _qualified,
    "dns1123LabelPrefix": _pattern(_LABEL, 63, _LABEL_WORDS, prefix=True),
    "dns1123SubdomainPrefix": _pattern(rf"{_LABEL}(\.{_LABEL})*", 253, _SUBDOMAIN_WORDS, prefix=True),
    "dns1035LabelPrefix": _pattern("[a-z]([-a-z0-9]*[a-z0-9])?", 63, _1035_WORDS, prefix=True),
    "labelValue": _pattern(rf"({_NAME})?", 63, "a valid label must be empty or consist of letters, digits, '-', '_' or '.', and "
                           "begin and end with a letter or digit"),
    "uri": lambda text: [] if is_url(text) else ["must be an absolute URL, or a path"],
    "uuid": _pattern("[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}", 36,
                     "does not match the UUID format"),
    "byte": _pattern("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})", MAX_TEXT, "invalid base64"),
    "date": _dated("", "invalid date"),
    "datetime": _dated(r"[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(.\d+)?([Zz]|[+-]\d{2}:\d{2})", "invalid datetime"),
}  # fmt: skip
_FORMATS = {name: Format(name, faults) for name, faults in _FAULTS.items()}


def _validate(value: Format, text: str) -> Optional:
    found = value.faults(text)
    return Optional(found) if found else NONE


def _named(name: str) -> Optional:
    return Optional(_FORMATS[name]) if name in _FORMATS else NONE


def _constant(value: Format) -> Callable[[], Format]:
    return lambda: value


FUNCTIONS = (
    function("format.named", f"The format of a name: {', '.join(_FORMATS)}; none where there is no such.",
             "format.named('dns1123Label').hasValue()", KUBERNETES_FORMAT,
             {"format.named(string) -> optional(format)": _named}),
    function("validate", "What is wrong with a text that should have a format; none where it has it.",
             "!format.dns1123Label().validate('a-b').hasValue()", KUBERNETES_FORMAT,
             {"format.validate(string) -> optional(list(string))": _validate}),
    *(
        function(f"format.{name}", f"The format {name}.", f"format.{name}() == format.named('{name}').value()", KUBERNETES_FORMAT,
                 {f"format.{name}() -> format": _constant(value)})
        for name, value in _FORMATS.items()
    ),
)  # fmt: skip
