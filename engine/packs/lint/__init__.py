"""Lint: every fault of rule packs at once. One file for each kind of fault, and one line in the table here.

A kind of fault is documented in its file's docstring, which `rulepack lint --explain` and the reference show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.cel import Cel
from engine.errors import Fault
from engine.model.objects import Kind
from engine.packs.crds import Definition
from engine.packs.lint import (
    dead_rule,
    declaration,
    expression,
    missing_once_per,
    now_written,
    record_name,
    same_annotation,
    schema,
    undeclared_target,
    unguarded_patch,
    unknown_field,
    unused_target,
    yaml,
)
from engine.packs.lint.base import Code, Severity, Subject
from engine.packs.parse import ParsedPack, parse_text
from engine.packs.sources import Text

CODES: Mapping[str, Code] = {
    module.CODE.name: module.CODE
    for module in (
        dead_rule, declaration, expression, missing_once_per, now_written, record_name, same_annotation, schema,
        undeclared_target, unguarded_patch, unknown_field, unused_target, yaml,
    )
}  # fmt: skip

__all__ = ["CODES", "Code", "Severity", "lint"]


def lint(texts: Sequence[Text], cel: Cel, definitions: Mapping[Kind, Definition] | None = None) -> tuple[int, list[Fault]]:
    """The number of packs in these texts, and every fault of them, in the order of the texts and their lines.

    Packs of all texts are looked at together.
    """
    packs: list[ParsedPack] = []
    faults: list[Fault] = []
    broken: set[str] = set()
    for text in texts:
        read, own = parse_text(text.text, text.file, cel, manifests=True)
        packs += read
        broken |= {parsed.pack.name for parsed in read if own or text.faults}
        faults += [*text.faults, *own]
    subject = Subject(packs, definitions or {}, frozenset(broken))
    checks = [code.check for code in CODES.values() if code.check is not None]
    faults += [fault for check in checks for fault in check(subject)]
    order = {text.file: number for number, text in enumerate(texts)}
    return len(packs), sorted(dict.fromkeys(faults), key=lambda fault: (order.get(fault.location.file, 0), fault.location))
