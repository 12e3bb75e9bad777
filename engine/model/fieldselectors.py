"""Field selectors, as kubectl's `--field-selector` and requests write them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TERM = re.compile(r"(?P<field>[^=!,\\\s]+)(?P<operator>==|!=|=)(?P<value>(?:\\[\\,=]|[^\\,=])*)(?=,|$)")


class FieldTerm(NamedTuple):
    """One field by its dotted path, and the value that it has, or that it has not."""

    field: str
    equal: bool
    value: str

    def __str__(self) -> str:
        value = re.sub(r"[\\,=]", r"\\\g<0>", self.value)
        return f"{self.field}{'=' if self.equal else '!='}{value}"


def of_name(name: str) -> str:
    """Return the selector of the objects with a name, which may be one of RBAC's, such as `a=b`."""
    return str(FieldTerm("metadata.name", True, name))


def field_terms(text: str) -> Iterator[FieldTerm]:
    r"""Yield the terms of a selector such as `status.phase!=Running,spec.nodeName=one`, all of which must hold.

    The operators are `=`, `==` and `!=`. In a value `\` stands before `,`, `=` and `\`. Raises ValueError for a term of another
    form, with that term. Source: kubernetes, apimachinery/pkg/fields/selector.go, which passes over empty terms.
    """
    position = 0
    while position < len(text):
        if text[position] == ",":
            position += 1
            continue
        found = _TERM.match(text, position)
        if found is None:
            raise ValueError(text[position:])
        yield FieldTerm(found["field"], found["operator"] != "!=", re.sub(r"\\(.)", r"\1", found["value"]))
        position = found.end() + 1
