"""Tests of the functions of libraries (`kind: RuleLibraryTest`): what they are called with, and what is to come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from engine.cel import Backend, Defined, Path, Program
from engine.cel.times import to_duration, to_timestamp
from engine.cel.types import DURATION, TIMESTAMP, Named
from engine.cel.values import Mismatch
from engine.errors import Fault, Location
from engine.model.spec import Spec
from engine.model.text import suggestion
from engine.packs.document import Document
from engine.packs.fields import Text
from engine.packs.libraries import Libraries
from engine.packs.schema import MetadataSpec

KIND = "RuleLibraryTest"
_TIMES: Mapping[Named, Callable[[str], Any]] = {TIMESTAMP: to_timestamp, DURATION: to_duration}


class FunctionCaseSpec(Spec):
    """A test: one call of a function."""

    name: Text
    """What holds, in a few words."""
    function: Text
    """The function by its whole name, such as `texts.urgent`."""
    arguments: dict[str, Any] = Field(default={})
    """What it is called with, by the names of its parameters. A time or a duration is given as its text."""
    expect: Any = None
    """The value that it has, of the same type; a time or a duration as its text."""
    fails: Text | None = None
    """Instead: a part of the message where it has no value for these arguments."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set & {"expect", "fails"}) != 1:
            raise ValueError("a test has exactly one of expect, fails")
        return self


class FunctionTestSpec(Spec):
    """The tests."""

    libraries: list[Text] = Field(default=[])
    """Files or folders of the libraries under test, relative to this file; all of this file's folder where left out."""
    arguments: dict[str, Any] = Field(default={})
    """Arguments for every test that does not give its own, by the names of parameters."""
    tests: list[FunctionCaseSpec] = Field(min_length=1, max_length=1000)
    """The tests."""


class RuleLibraryTestSpec(Spec):
    """Tests of the functions of libraries, run by `rulepack test`."""

    api_version: Literal["rules.mlops.dev/v1alpha1"]
    """The version of this schema."""
    kind: Literal["RuleLibraryTest"]
    """`RuleLibraryTest`."""
    metadata: MetadataSpec
    """Its name."""
    spec: FunctionTestSpec
    """The tests."""


@dataclass(frozen=True, slots=True)
class FunctionCase:
    """One call of a function, ready to be evaluated, and what is expected of it."""

    suite: str
    spec: FunctionCaseSpec
    place: Location
    program: Program
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the test says holds."""
        return self.spec.name


def cases_of(
    spec: RuleLibraryTestSpec, document: Document, libraries: Libraries, cel: Backend
) -> tuple[list[FunctionCase], list[Fault]]:
    """Return the tests of a document, and the faults of those that fit no function."""
    cases: list[FunctionCase] = []
    faults: list[Fault] = []
    linked = cel.linked(libraries.functions)
    for number, case in enumerate(spec.spec.tests):
        path: Path = ("spec", "tests", number)
        function = libraries.functions.defined.get(case.function)
        if function is None:
            expected = libraries.functions.hint(case.function) or suggestion(case.function, libraries.functions.defined)
            faults.append(Fault(document.locate((*path, "function")), f"there is no function {case.function!r}", expected))
            continue
        arguments, wrong = _arguments({**_known(spec.spec.arguments, function), **case.arguments}, function, document, path)
        faults += wrong
        if not wrong:
            program = linked.compile(function.usage, [name for name, _ in function.parameters])
            place = document.locate((*path, "name"))
            cases.append(FunctionCase(spec.metadata.name, case, place, program, arguments))
    return cases, faults


def _known(arguments: Mapping[str, Any], function: Defined) -> dict[str, Any]:
    return {name: arguments[name] for name, _ in function.parameters if name in arguments}


def _arguments(given: Mapping[str, Any], function: Defined, document: Document, path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """Return the values of a function's parameters, and the faults of those that are missing, unknown or no times."""
    types = dict(function.parameters)
    faults, values = [], {}
    for name in types.keys() - given.keys():
        faults.append(Fault(document.locate(path), f"{function.name}() is given no {name}", function.signature))
    for name, value in given.items():
        here = (*path, "arguments", name)
        if name not in types:
            message = f"{function.name}() has no parameter {name!r}"
            faults.append(Fault(document.locate_key(here), message, suggestion(name, types)))
            continue
        try:
            convert = _TIMES.get(types[name])
            values[name] = convert(value) if convert and isinstance(value, str) else value
        except Mismatch as mismatch:
            faults.append(Fault(document.locate(here), str(mismatch)))
    return values, faults
