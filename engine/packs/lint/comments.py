"""The check of texts that YAML cuts at a `#`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.errors import Fault
from engine.model.text import shown
from engine.packs.document import YamlDocument
from engine.packs.lint.base import Check, Severity, Subject

_UNFINISHED = re.compile(r"(?:&&|\|\||[=!<>]=|[<>+?:,(\[{])$")
_NO_COMMENT = re.compile(r"#(?:\d|\$\{)")
"""What begins a number such as `#42`, or an expression."""


class CutText(Check):
    """A text without quotes ends at ` #`, where a comment of YAML begins.

    Of `message: See ticket #42 of ${object.metadata.name}` only `See ticket` is left, and of
    `when: label(object, 'team') == 'team #1'` an expression without an end. Put the whole text in quotes. It is reported where
    the text is unfinished, by its brackets, quotes or last operator, and where a digit or `${` follows the `#` at once.
    """

    name = "cut-text"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such text."""
        for parsed in subject.packs:
            if isinstance(parsed.document, YamlDocument):
                for location, text, comment in parsed.document.cut_texts():
                    if _is_cut(text, comment):
                        message = f"the text ends before {shown(comment)}, which is a comment of YAML"
                        yield self.fault(location, message, "quotes around the whole text")


def _is_cut(text: str, comment: str) -> bool:
    if _NO_COMMENT.match(comment) or _UNFINISHED.search(text) or (text.count('"') % 2 and '"' in comment):
        return True
    if text.count("'") % 2 and "'" in comment:
        return True
    return any(text.count(opening) > text.count(closing) for opening, closing in ("()", "[]", "{}"))
