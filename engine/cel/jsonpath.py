"""What to write instead of JSONPath, as `kubectl get -o jsonpath` and others have it: filters and `[*]`."""

from __future__ import annotations

import re

_VALUE = r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`"
_LIST = r"(?P<list>[\w.]{1,200}(?:\[\d+\][\w.]{0,200}){0,9})"
_THEN = rf"(?:\.(?P<then>\w+)(?:\s*(?P<operator>[!=]=)\s*(?P<wanted>{_VALUE}))?)?"
#: `list[?(@.type == 'Ready')].status == 'True'`, also without `?`, `@` or the second `=`.
_FILTER = re.compile(
    rf"{_LIST}\[(?:\?\(?\s*@?\.?|\(?\s*@?\.?(?=\w+\s*=[^=]))\s*(?P<field>\w+)\s*={{1,2}}\s*(?P<value>{_VALUE})\s*\)?\]{_THEN}"
)
_ANY_FILTER = re.compile(rf"{_LIST}\[\?\(?\s*@")
_EACH = re.compile(rf"{_LIST}\[\s*\*?\s*\]\.(?P<field>\w+)")
_ITEM = "hasItem({'type': 'Ready', 'status': 'True'})"


def of_filter(source: str) -> tuple[str, int, str]:
    """Return what is of JSONPath in an expression: what it is, its offset, and what to write; ('', 0, '') where nothing is."""
    if found := _FILTER.search(source):
        return "a list has no filter in brackets", found.end("list"), _filtered(found)
    if found := _ANY_FILTER.search(source):
        expected = f"{found['list']}.{_ITEM}, or {found['list']}.filter(x, condition)[0]"
        return "a list has no filter in brackets", found.end("list"), expected
    if found := _EACH.search(source):
        listed, field = found["list"], found["field"]
        expected = f"{listed}.exists(x, x.{field} == value), or {listed}.map(x, x.{field})"
        return "brackets without an index stand for no item", found.end("list"), expected
    return "", 0, ""


def of_key(items: str, field: str, key: str) -> str:
    """Return how to find the item of a list that has a key as the value of one of its fields."""
    return f"{items}.filter(x, x.{field} == {key})[0]"


def _filtered(found: re.Match[str]) -> str:
    items, field, value = found["list"], found["field"], _quoted(found["value"])
    if found["then"] is None:
        return f"{items}.hasItem({{'{field}': {value}}})"
    if found["operator"] is None:
        return f"{of_key(items, field, value)}.{found['then']}"
    if found["operator"] == "==":
        return f"{items}.hasItem({{'{field}': {value}, '{found['then']}': {_quoted(found['wanted'])}}})"
    return f"{items}.exists(x, x.{field} == {value} && x.{found['then']} != {_quoted(found['wanted'])})"


def _quoted(text: str) -> str:
    return f"'{text[1:-1]}'"
