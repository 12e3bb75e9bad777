"""How commands print faults and differences: to people, to programs, to GitHub, and as SARIF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from engine import __version__
from engine.errors import Fault
from engine.model.text import clean
from engine.packs.excerpts import excerpt
from engine.packs.lint import CODES, Severity

_DIFFERENCES = (
    (re.compile(r"^\s*- "), {"fg": "green"}),
    (re.compile(r"^\s*\+ "), {"fg": "red"}),
    (re.compile(r"^FAIL "), {"fg": "red", "bold": True}),
)
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow"}

Sources = Mapping[str, Sequence[str]]
"""The lines of each file."""


def say(line: str) -> None:
    """Print a line of a report; what was expected is green, what was found is red."""
    style = next((style for pattern, style in _DIFFERENCES if pattern.match(line)), {})
    text = clean(line)
    click.echo(click.style(text, **style) if style else text)


def severity(fault: Fault) -> Severity:
    """Return how bad a fault is."""
    return CODES[fault.code].severity


def sentence(fault: Fault) -> str:
    """Return what is wrong, and what was expected."""
    return f"{fault.message}; expected {fault.expected}" if fault.expected else fault.message


def text(faults: Sequence[Fault], sources: Sources) -> str:
    """Return `file:line:column: severity: message [code]`, then the line and a caret."""
    return "\n".join(line for fault in faults for line in _lines(fault, sources))


def _lines(fault: Fault, sources: Sources) -> Iterator[str]:
    location, level = fault.location, severity(fault)
    coloured = click.style(level, fg=_COLOURS[level], bold=True)
    yield f"{click.style(str(location), bold=True)}: {coloured}: {sentence(fault)} [{fault.code}]"
    lines = sources.get(location.file, ())
    if location.line > len(lines) or not lines[location.line - 1].strip():
        return
    shown, before = excerpt(lines[location.line - 1], location.column)
    number = f"{location.line:>6} | "
    yield f"{number}{shown}"
    yield f"{' ' * (len(number) - 2)}| {before}{click.style('^', fg=_COLOURS[level], bold=True)}"


def as_json(faults: Sequence[Fault], sources: Sources) -> str:
    """Return a JSON list."""
    return json.dumps([_object(fault) for fault in faults], indent=2, ensure_ascii=False)


def _object(fault: Fault) -> dict[str, Any]:
    location = fault.location
    return {
        "file": location.file, "line": location.line, "column": location.column, "severity": str(severity(fault)),
        "code": fault.code, "message": fault.message, "expected": fault.expected,
    }  # fmt: skip


def github(faults: Sequence[Fault], sources: Sources) -> str:
    """Return workflow commands, which GitHub shows beside the lines of a pull request."""
    return "\n".join(
        f"::{severity(fault)} file={_property(fault.location.file)},line={fault.location.line},col={fault.location.column},"
        f"title={_property(fault.code)}::{_data(sentence(fault))}"
        for fault in faults
    )


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def sarif(faults: Sequence[Fault], sources: Sources) -> str:
    """Return SARIF 2.1.0 (OASIS), which code scanners read."""
    rules = [
        {
            "id": code.name,
            "shortDescription": {"text": " ".join(code.documentation.split("\n\n")[0].split())},
            "fullDescription": {"text": code.documentation.strip()},
            "defaultConfiguration": {"level": str(code.severity)},
        }
        for code in CODES.values()
    ]
    results = [
        {
            "ruleId": fault.code,
            "level": str(severity(fault)),
            "message": {"text": sentence(fault)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": fault.location.file},
                        "region": {"startLine": fault.location.line, "startColumn": fault.location.column},
                    }
                }
            ],
        }
        for fault in faults
    ]
    driver = {"name": "rulepack", "version": __version__, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(log, indent=2, ensure_ascii=False)


FORMATS: Mapping[str, Callable[[Sequence[Fault], Sources], str]] = {
    "text": text, "json": as_json, "github": github, "sarif": sarif,
}  # fmt: skip
