"""The check of braces: those of Jinja, Helm, Kyverno and shells, which a rule pack hands on as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.errors import Fault
from engine.packs.lint.base import Check, Severity, Subject
from engine.packs.strings import texts

_NAMES = r"(?:request\.)?(?P<path>(?:object|oldObject|params|inputs|vars|lookup|item|target|results|group|now)\b[^{}()]*?)"
#: `{{ object.x }}`, `{object.x}`, `$(object.x)` and `$object.x`. A dollar before the brace is the right form.
_FOREIGN = re.compile(
    rf"\{{\{{-?\s*{_NAMES}\s*-?\}}\}}"
    rf"|\$\(\s*{_NAMES.replace('path', 'shell')}\s*\)"
    rf"|(?<![${{])\{{{_NAMES.replace('path', 'single')}\}}"
    r"|\$(?P<bare>(?:object|params|vars|item|lookup)(?:\.\w+)+)"
)

_EXPRESSIONS = frozenset([
    "when", "oncePer", "loop", "loopKey", "ageFrom", "vars", "guard", "doneWhen", "that", "where", "by", "counts", "value",
])  # fmt: skip
"""Keys of expressions, in which such braces are faults of their own."""


class ForeignBraces(Check):
    """A text names a variable in the braces of another language, and so is written as it stands.

    Jinja, Helm and Kyverno have `{{ object.metadata.name }}` or `{{request.object.metadata.name}}`, shells `$(object…)`: here
    it is `${object.metadata.name}`. Braces about anything else, such as those of a notification's template, are left alone.
    """

    name = "foreign-braces"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each text with such braces; within an expression they are faults of their own."""
        for parsed in subject.packs:
            for index, rule in enumerate(parsed.document.value["spec"]["rules"]):
                for path, text in texts(rule, ("spec", "rules", index)):
                    for found in () if _EXPRESSIONS.intersection(path) else _FOREIGN.finditer(text):
                        name = next(filter(None, found.groupdict().values())).strip()
                        line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
                        location = parsed.document.locate(path, line, column)
                        yield self.fault(location, f"{found[0]} is written as it stands", f"${{{name}}}")
