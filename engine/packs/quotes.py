"""How to write a line of YAML in which a text lacks its quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import yaml

_LONGEST = 200
"""Characters of a line of which the corrected form is shown."""
_MOST = 5
"""To how many texts of a line quotes are added, and how many places are tried for each."""
_TRIED = 50
#: What a line of a block begins with, and the text after that.
_BLOCK = re.compile(r"(?P<before>\s*(?:- +)*(?:[\w./-]+: +)?)(?P<value>\S.*?)\s*\Z")
#: Where a value begins within braces, and where it may end: before a further key or item, or a bracket that closes them.
_BEGINS = re.compile(r"(?<=[{,\s])[\w./-]+: +|(?P<item>[\[,]) *(?![\s{\[])")
_ENDS = re.compile(r"\s*(?:[}\]]|, *(?=[\w./-]+: |['\"!*&]))")
_ENDS_OF_ITEM = re.compile(r"\s*[,}\]]")
#: What makes a text without quotes another value of YAML, or none.
_SPECIAL = re.compile(r"[*&!%@`{\['\"]|\$\{|\? |\w.*\(.*, |.* in \[|.*: |.*:\Z|.* #")
#: What is wrong in another way: a comma too much, a comment of another language.
_NO_TEXT = re.compile(r"\A,|,\s*,|,\Z|[}\]] *//")
#: Quotes around a text in which the same quotes stand, as in `"a == "b""`; not `"a" == "b"`.
_AROUND = re.compile(r"(?P<quote>['\"])(?P<inner>[^'\"]*(?P=quote)\w.*)(?P=quote)")
_STRINGS = re.compile(r"'[^']*'|\"[^\"]*\"")
#: A text that is a key and a value itself.
_NESTED = re.compile(r"(?P<key>[\w./-]+): +'(?P<value>[\w./-]+: [\w./-]+)'")
_PAIRS = (("{", "}"), ("[", "]"), ("(", ")"))


def corrected(line: str) -> str:
    """Return a line that is no YAML with quotes around the texts that need them, '' where that does not mend it."""
    mended = line
    for _ in range(_MOST):
        problem = _problem(mended)
        if problem is None:
            return re.sub(r"\A(?:- +)+", "", mended.strip()) if mended != line else ""
        mended = _one_corrected(mended, problem)
    return ""


def _one_corrected(line: str, problem: int) -> str:
    """Return a line with quotes around one text, so that what is wrong at a column is so no more; '' where none does that."""
    for start, end in islice(_places(line), _TRIED) if "\t" not in line and len(line) <= _LONGEST else ():
        value = line[start:end].rstrip()
        if _SPECIAL.match(value) and _is_whole(value) and not _NO_TEXT.search(value):
            mended = line[:start] + _requoted(value) + line[start + len(value) :]
            left = _problem(mended)
            if left is None or left > problem + len(mended) - len(line):
                return mended
    return ""


def _requoted(value: str) -> str:
    """Return a text in quotes, of which those that are around all of it already are no part."""
    inner = _AROUND.fullmatch(value)
    return in_quotes(inner["inner"] if inner else value)


def in_quotes(text: str) -> str:
    """Return a text in the quotes that leave it as it stands."""
    if "'" not in text:
        return f"'{text}'"
    return f'"{text}"' if '"' not in text and "\\" not in text else "'{}'".format(text.replace("'", "''"))


def with_quotes(line: str) -> str:
    """Return what was expected in place of a line, by how it reads with quotes: also a mapping, where it may be one."""
    if nested := _NESTED.fullmatch(line):
        return f"a mapping: {nested['key']}: {{{nested['value']}}}; or quotes around a text: {line}"
    return f"quotes around the text: {line}"


def _places(line: str) -> Iterator[tuple[int, int]]:
    """Yield where a value may begin and end: within braces, the innermost and shortest first; else the whole."""
    block = _BLOCK.match(line)
    if block is None:
        return
    start, end, value = *block.span("value"), block["value"]
    if value[0] not in "{[" or not _is_whole(value):
        yield start, end
    else:
        for found in reversed(list(_BEGINS.finditer(line, start))):
            ends = _ENDS_OF_ITEM if found["item"] else _ENDS
            yield from ((found.end(), end.start()) for end in ends.finditer(line, found.end()))
        if any(_is_whole(value[:at]) for at in range(2, len(value))):  # `[a] == [b]` is no list
            yield start, end


def _is_whole(value: str) -> bool:
    """Return whether every bracket and every quote of a text is closed in it."""
    bare = _STRINGS.sub("", value)
    if value[:1] in "'\"" and value[:1] in bare:
        return False
    return all(bare.count(opening) == bare.count(closing) for opening, closing in _PAIRS)


def _problem(line: str) -> int | None:
    """Return at which column a line alone is no YAML, or names or tags something; None where it is sound."""
    indent = len(line) - len(line.lstrip())
    try:
        for event in yaml.parse(line.strip(), Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None):
                return indent + (event.start_mark.column if event.start_mark else 0)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        return indent + (mark.column if mark and not mark.line else len(line))
    except yaml.YAMLError:
        return 0
    return None
