"""Strings: CEL's own functions and cel-go's strings library. Indexes count Unicode's code points."""

from __future__ import annotations

from typing import Any

from engine.cel.budget import by_length, pieces
from engine.cel.declarations import CEL, GO_STRINGS, function
from engine.cel.operators import MAX_TEXT, bounded
from engine.cel.values import Mismatch

#: Unicode's White_Space, which trim() takes away; Python's str.strip() takes more.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_LOWER = {code: code + 32 for code in range(65, 91)}
_UPPER = {code: code - 32 for code in range(97, 123)}
_QUOTED = {
    ord(character): f"\\{name}" for character, name in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)
}  # fmt: skip


def _split(value: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator == "":
        return list(value) if limit < 0 or limit >= len(value) else [*value[: limit - 1], value[limit - 1 :]]
    return value.split(separator, limit - 1 if limit > 0 else -1)


def _join(value: list[Any], separator: str = "") -> str:
    if not all(type(item) is str for item in value):
        raise Mismatch("join() works on a list of strings")
    if sum(map(len, value)) + len(separator) * len(value) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return separator.join(value)


def _replace(value: str, old: str, new: str, limit: int = -1) -> str:
    count = value.count(old)
    count = count if limit < 0 else min(count, limit)
    if len(value) + count * (len(new) - len(old)) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return value.replace(old, new, limit)


def _substring(value: str, start: int, end: int | None = None) -> str:
    end = len(value) if end is None else end
    if not 0 <= start <= end <= len(value):
        raise Mismatch(f"substring() is out of range: {start} to {end} of {len(value)} characters")
    return value[start:end]


def _char_at(value: str, index: int) -> str:
    if not 0 <= index <= len(value):
        raise Mismatch(f"charAt() is out of range: {index} of {len(value)} characters")
    return value[index : index + 1]


def _index_of(value: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(value):
        raise Mismatch(f"indexOf() is out of range: {start} of {len(value)} characters")
    return value.find(part, start)


def _last_index_of(value: str, part: str, start: int | None = None) -> int:
    if start is None:
        return value.rfind(part)
    if not 0 <= start <= len(value):
        raise Mismatch(f"lastIndexOf() is out of range: {start} of {len(value)} characters")
    return -1 if start == len(value) and part else value.rfind(part, 0, start + len(part))


def quote(value: str) -> str:
    """A string as a literal in double quotes, with escapes for what would not be seen."""
    clean = "".join("\ufffd" if "\ud800" <= character < "\ue000" else character for character in value)
    return bounded('"', clean.translate(_QUOTED), '"')


FUNCTIONS = (
    function("startsWith", "Whether a string begins with another.", "'abc'.startsWith('ab')", CEL,
             {"string.startsWith(string) -> bool": str.startswith}),
    function("endsWith", "Whether a string ends with another.", "'abc'.endsWith('bc')", CEL,
             {"string.endsWith(string) -> bool": str.endswith}),
    function("contains", "Whether a string contains another.", "'abc'.contains('b')", CEL,
             {"string.contains(string) -> bool": lambda value, part: part in value}, by_length(400)),
    function("charAt", "The character of a string at an index; `''` at its end.", "'abc'.charAt(1) == 'b'", GO_STRINGS,
             {"string.charAt(int) -> string": _char_at}),
    function("indexOf", "Where a string first contains another, from an index on; -1 where it does not.",
             "'hello'.indexOf('l') == 2", GO_STRINGS,
             {"string.indexOf(string) -> int": _index_of, "string.indexOf(string, int) -> int": _index_of}, by_length(400)),
    function("lastIndexOf", "Where a string last contains another, up to an index; -1 where it does not.",
             "'hello'.lastIndexOf('l') == 3", GO_STRINGS,
             {"string.lastIndexOf(string) -> int": _last_index_of, "string.lastIndexOf(string, int) -> int": _last_index_of},
             by_length(400)),
    function("join", "The strings of a list as one, with a separator between them.", "['a', 'b'].join(', ') == 'a, b'",
             GO_STRINGS, {"list(string).join() -> string": _join, "list(string).join(string) -> string": _join}, pieces),
    function("split", "The parts of a string between separators, at most so many.", "'a,b'.split(',') == ['a', 'b']", GO_STRINGS,
             {"string.split(string) -> list(string)": _split, "string.split(string, int) -> list(string)": _split},
             by_length(25)),
    function("replace", "A string with one part replaced by another, everywhere or at most so many times.",
             "'aXbX'.replace('X', 'y', 1) == 'aybX'", GO_STRINGS,
             {"string.replace(string, string) -> string": _replace, "string.replace(string, string, int) -> string": _replace},
             by_length(50)),
    function("substring", "The characters of a string from one index up to another.", "'hello'.substring(1, 3) == 'el'",
             GO_STRINGS, {"string.substring(int) -> string": _substring, "string.substring(int, int) -> string": _substring},
             by_length(2000)),
    function("trim", "A string without white space at its ends.", "' a '.trim() == 'a'", GO_STRINGS,
             {"string.trim() -> string": lambda value: value.strip(_WHITE_SPACE)}, by_length(400)),
    function("lowerAscii", "A string with A to Z in lower case.", "'AB'.lowerAscii() == 'ab'", GO_STRINGS,
             {"string.lowerAscii() -> string": lambda value: value.translate(_LOWER)}, by_length(50)),
    function("upperAscii", "A string with a to z in upper case.", "'ab'.upperAscii() == 'AB'", GO_STRINGS,
             {"string.upperAscii() -> string": lambda value: value.translate(_UPPER)}, by_length(50)),
    function("reverse", "The characters of a string in the opposite order.", "'abc'.reverse() == 'cba'", GO_STRINGS,
             {"string.reverse() -> string": lambda value: value[::-1]}, by_length(400)),
    function("strings.quote", "A string in double quotes, with escapes.", r"""strings.quote('a"b') == '"a\\"b"'""", GO_STRINGS,
             {"strings.quote(string) -> string": quote}, by_length(50)),
)  # fmt: skip
