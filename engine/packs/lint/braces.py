"""The check of braces: those of Jinja, Helm, Kyverno and shells, which a rule pack hands on as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.cel import Path
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

#: What only Helm has in its braces; a notification's template has others.
_HELM = re.compile(r"\{\{-?\s*(?:\.(?:Values|Release|Chart|Capabilities)\b|(?:include|template)\s+\")[^{}]*\}\}")
#: What Kustomize replaces in fields that it knows, and Kubernetes in the command of a container.
_VARIABLE = re.compile(r"\$\([A-Z][A-Z0-9_]*\)")
_LITERAL = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_OBJECTS = frozenset(["manifest", "patch"])
"""Keys of objects, in which Kubernetes itself may replace `$(NAME)`."""
_EXPRESSIONS = frozenset([
    "when", "oncePer", "loop", "loopKey", "ageFrom", "vars", "guard", "doneWhen", "that", "where", "by", "counts", "value",
])  # fmt: skip
"""Keys of expressions, in which such braces are faults of their own."""


class ForeignBraces(Check):
    """A text names a variable in the braces of another language, and so is written as it stands.

    Jinja, Helm and Kyverno have `{{ object.metadata.name }}` or `{{request.object.metadata.name}}`, shells `$(object…)`: here
    it is `${object.metadata.name}`. What Helm and Kustomize would put in, `{{ .Values.x }}` and `$(NAME)`, is a param here:
    `${params.x}`, unless they render the file before it is applied. Braces about anything else, such as those of a
    notification's template, are left alone.
    """

    name = "foreign-braces"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each text with such braces; within an expression they are faults of their own."""
        for parsed in subject.packs:
            for index, rule in enumerate(parsed.document.value["spec"]["rules"]):
                for path, text in texts(rule, ("spec", "rules", index)):
                    inside = bool(_EXPRESSIONS.intersection(path))
                    found = [] if inside else [(each, _expected(each)) for each in _FOREIGN.finditer(text)]
                    found += [(each, _RENDERED) for each in _rendered(path, text, inside)]
                    for each, expected in found:
                        start = each.start()
                        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
                        yield self.fault(
                            parsed.document.locate(path, line, column), f"{each[0]} is written as it stands", expected
                        )


_RENDERED = "${params.NAME} and a param of the pack, or a file that is rendered before"


def _expected(found: re.Match[str]) -> str:
    return f"${{{next(filter(None, found.groupdict().values())).strip()}}}"


def _rendered(path: Path, text: str, inside: bool) -> Iterator[re.Match[str]]:
    """Yield what Helm or Kustomize would replace; of an expression, what stands in its texts: the rest does not compile."""
    if not inside or "{{" not in _LITERAL.sub("", text):
        yield from _HELM.finditer(text)
    if not inside and not _OBJECTS.intersection(path):
        yield from _VARIABLE.finditer(text)
