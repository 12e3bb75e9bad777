"""The check of braces: those of Jinja, Helm, Kyverno and shells, which a rule pack hands on as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.cel import Path
from engine.errors import Fault
from engine.packs.lint.absent import is_written
from engine.packs.lint.base import Check, Severity, Subject
from engine.packs.parse import ParsedPack
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
    it is `${object.metadata.name}`, also where nothing else stands there: `object.metadata.name` is a text like any other.
    What Helm and Kustomize would put in, `{{ .Values.x }}` and `$(NAME)`, is a param here:
    `${params.x}`, unless they render the file before it is applied. Braces about anything else, such as those of a
    notification's template, are left alone.
    """

    name = "foreign-braces"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each text with such braces; within an expression they are faults of their own."""
        for parsed in subject.packs:
            for index, raw in enumerate(parsed.document.value["spec"]["rules"]):
                for path, text in texts(raw, ("spec", "rules", index)):
                    inside = bool(_EXPRESSIONS.intersection(path))
                    found = [] if inside else [(each, _expected(each)) for each in _FOREIGN.finditer(text)]
                    found += [(each, _RENDERED) for each in _rendered(path, text, inside)]
                    found += [] if found or not (is_written(path) or path[6:] == ("target", "name")) else _bare(parsed, raw, text)
                    for each, expected in found:
                        start = each.start()
                        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
                        yield self.fault(
                            parsed.document.locate(path, line, column), f"{each[0]} is written as it stands", expected
                        )


#: A text that is a path of an object, of a var or the like and nothing else, or is joined with one.
_BARE = re.compile(
    r"(?:'[^']*'\s*\+\s*)?(?P<root>object|oldObject|target|params|vars|lookup)\.(?P<name>\w+)"
    r"(?:\.\w+|\[\d+\]|\['[^']*'\])*(?:\s*\+\s*'[^']*')?"
)
_OF_OBJECT = frozenset(["metadata", "spec", "status", "data", "kind", "apiVersion"])


def _bare(parsed: ParsedPack, raw: Mapping[str, Any], text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Yield a text that is an expression without braces around it: it names what this rule can read."""
    found = _BARE.fullmatch(text)
    if found is None:
        return
    pack, name = parsed.pack, found["name"]
    known = {"params": pack.params.keys(), "vars": {*pack.vars, *(raw.get("vars") or ())}, "lookup": raw.get("lookup") or ()}
    if name in known.get(found["root"], _OF_OBJECT):
        yield found, f"${{{text}}}"


_RENDERED = "${params.NAME} and a param of the pack, or a file that is rendered before"


def _expected(found: re.Match[str]) -> str:
    return f"${{{next(filter(None, found.groupdict().values())).strip()}}}"


def _rendered(path: Path, text: str, inside: bool) -> Iterator[re.Match[str]]:
    """Yield what Helm or Kustomize would replace; of an expression, what stands in its texts: the rest does not compile."""
    if not inside or "{{" not in _LITERAL.sub("", text):
        yield from _HELM.finditer(text)
    if not inside and not _OBJECTS.intersection(path):
        yield from _VARIABLE.finditer(text)
