"""Check the language of the pages for people: short sentences, no riddles at their beginning, and the words of the field.

Pages below docs/reference are written from the code, and decisions are records of their time: neither is checked.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md", "engine/README.md", "docs/*.md", "rules/*/README.md",
    "config/*/README.md", "examples/**/README.md",
)  # fmt: skip

LONGEST_MEDIAN = 18
"""The median sentence of a page has fewer words."""
BEGINNINGS = re.compile(r"(What|Whoever|That)\b")
WORDS = {
    r"judg(e|es|ed)": "evaluate",
    r"look(s|ed)? at": "read, evaluate or check",
    r"(is|are|was|were|be|been) told": "report, say, or send an Event",
    r"salvag\w+": "recover",
    r"brakes?": "disruption budget",
    r"wording": "message",
    r"theatre|stor(y|ies)|cast": "fixture or simulator",
    r"mine|ours": "owned",
}
"""What is not written, as patterns, and what is instead: the words of the design."""

_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")
_CODE = "CODE"  # one word, whatever is in it; a sentence may begin with it


class Block(NamedTuple):
    """A piece of text without marks and code, and the type of the token that it is in."""

    line: int
    text: str
    within: str


def blocks(text: str) -> Iterator[Block]:
    """Return the blocks of a page in order."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    line = 1
    for before, token in pairwise(tokens):
        line = before.map[0] + 1 if before.map else line
        if token.type == "inline":
            yield Block(line, _plain(token), before.type)


def _plain(token: Token) -> str:
    return re.sub(
        r"\s+", " ", "".join(_CODE if child.type == "code_inline" else child.content or " " for child in token.children or ())
    )


def sentences(block: Block) -> list[str]:
    """Return the sentences of a block."""
    return [sentence.strip() for sentence in _END.split(block.text) if sentence.strip()]


def faults(text: str) -> list[tuple[int, str]]:
    """Return what is wrong on a page: lines, and what to write instead."""
    found, lengths = list[tuple[int, str]](), list[int]()
    for block in blocks(text):
        for sentence in sentences(block):
            if block.within == "paragraph_open":
                lengths.append(len(sentence.split()))
            if block.within != "heading_open" and (begins := BEGINNINGS.match(sentence)):
                found.append(
                    (block.line, f"a sentence begins with {begins[1]!r}: {sentence[:60]!r}; begin with the subject or the verb")
                )
            for pattern, instead in WORDS.items():
                if used := re.search(rf"\b({pattern})\b", sentence, re.IGNORECASE):
                    found.append((block.line, f"{used[0]!r} is not written here: {sentence[:60]!r}; write {instead}"))
    if lengths and (middle := median(lengths)) >= LONGEST_MEDIAN:
        found.append(
            (1, f"the median sentence has {middle:g} words, expected fewer than {LONGEST_MEDIAN}: split the longer ones")
        )
    return found


def check(root: Path = ROOT) -> int:
    """Print the faults of each page. Returns the exit code."""
    names = sorted({path.relative_to(root).as_posix() for pattern in PAGES for path in root.glob(pattern)})
    lines = [f"{name}:{line}: {message}" for name in names for line, message in faults((root / name).read_text())]
    print("\n".join(lines), file=sys.stderr, end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(check())
