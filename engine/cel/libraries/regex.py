"""Regular expressions, by RE2, which is linear in the text.

`PATTERNS` computes each function with its pattern compiled. The compiler uses that, so that what a pattern of data costs is
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.cel.declarations import CEL, KUBERNETES_REGEX, function
from engine.cel.documents import regular_expression


def _matches(value: str, pattern: Any) -> bool:
    return pattern.search(value) is not None


def _find(value: str, pattern: Any) -> str:
    found = pattern.search(value)
    return "" if found is None else str(found[0])


def _find_all(value: str, pattern: Any, limit: int = -1) -> list[str]:
    found: list[str] = []
    for match in found_in(value, pattern) if limit else ():
        found.append(match[0])
        if len(found) == limit:
            break
    return found


def found_in(value: str, pattern: Any) -> Iterator[Any]:
    """The matches of a pattern, as Go finds them: an empty one that touches the one before is none."""
    end = -1
    for match in pattern.finditer(value):
        if match.end() > match.start() or match.start() != end:
            yield match
        end = match.end()


PATTERNS: Mapping[str, Callable[..., Any]] = {"matches": _matches, "find": _find, "findAll": _find_all}


def _by_text(name: str) -> Callable[..., Any]:
    return lambda value, pattern, *rest: PATTERNS[name](value, regular_expression(pattern), *rest)


FUNCTIONS = (
    function("matches", "Whether a regular expression (RE2) is found in a string; `^…$` for all of it.", "'abc'.matches('^a.c$')",
             CEL, {form: _by_text("matches") for form in ("string.matches(string) -> bool", "matches(string, string) -> bool")}),
    function("find", "The first part of a string that a regular expression finds; `''` where there is none.",
             "'abc 123'.find('[0-9]+') == '123'", KUBERNETES_REGEX, {"string.find(string) -> string": _by_text("find")}),
    function("findAll", "All parts of a string that a regular expression finds, at most so many.",
             "'1 a 22'.findAll('[0-9]+') == ['1', '22']", KUBERNETES_REGEX, {
        form: _by_text("findAll")
        for form in ("string.findAll(string) -> list(string)", "string.findAll(string, int) -> list(string)")
    }),
)  # fmt: skip
