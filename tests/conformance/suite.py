"""The official conformance tests of CEL (module cel.dev/expr, tests/simple/testdata), and what the engine makes of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.cel import Scope
from engine.cel.interpreter import Interpreter
from engine.cel.operators import equal
from engine.cel.types import TYPE_NAMES
from engine.cel.values import UInt, fits_int, of_key, span_of, time_of, to_key, type_of
from engine.errors import EvaluationError, ExpressionError
from engine.model.mappings import is_mapping
from tests.conformance.modules import module
from tests.conformance.textproto import Message, read

#: What says that a test is about protobuf messages: their names in the expression, its variables, or its result.
_MESSAGES = re.compile(
    r"TestAllTypes|NestedTestAllTypes|google\.protobuf\.(?!Timestamp$|Duration$)|proto[23]|GlobalEnum|TestRequired"
)


class NotApplicable(Exception):
    """A test is about what the engine has not; the text says what."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test of the suite."""

    file: str
    section: str
    name: str
    message: Message

    @property
    def expression(self) -> str:
        """What is to be evaluated."""
        return str(_text(self.message["expr"][0]))

    def __str__(self) -> str:
        return f"{self.file}/{self.section}/{self.name}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a test: `passed`, `refused` (the expression does not compile), `wrong` or `not applicable`; and why."""

    kind: str
    reason: str = ""


def cases() -> Iterator[Case]:
    """All tests, in the order of files and texts."""
    folder = module("cel.dev/expr") / "tests/simple/testdata"
    for path in sorted(folder.glob("*.textproto")):
        for section in read(path.read_bytes()).get("section", []):
            for test in section.get("test", []):
                yield Case(path.stem, _text(section["name"][0]), _text(test["name"][0]), test)


def evaluate(case: Case) -> Verdict:
    """Run one test."""
    try:
        expected, variables = _expected(case), _bindings(case)
    except NotApplicable as reason:
        return Verdict("not applicable", str(reason))
    checked = case.message.get("disable_check", ["false"])[0] != "true"
    try:
        program = Interpreter(checked=checked).compile(case.expression, list(variables))
    except ExpressionError as fault:
        return Verdict("passed" if expected is FAULT and _is_static(fault) else "refused", str(fault))
    try:
        value = program.evaluate(Scope(variables))
    except EvaluationError as fault:
        return Verdict("passed", str(fault)) if expected is FAULT else Verdict("wrong", f"no answer: {fault}")
    if expected is FAULT:
        return Verdict("wrong", f"{value!r}, where there is no answer")
    return Verdict("passed") if same(value, expected) else Verdict("wrong", f"{value!r}, not {expected!r}")


#: What is expected of a test whose expression has no answer.
FAULT = object()


def _is_static(fault: ExpressionError) -> bool:
    """Whether an expression was refused for what would have no answer, and not because the engine does not know its form."""
    return not re.search(r"unexpected|unknown function|not part of rule expressions|ends too early", fault.message)


def _expected(case: Case) -> Any:
    if "check_only" in case.message:
        raise NotApplicable("a type is deduced, nothing evaluated")
    if "unknown" in case.message or "any_unknowns" in case.message:
        raise NotApplicable("partial evaluation with unknown variables")
    if _MESSAGES.search(case.expression) or b"google.protobuf" in str(case.message.get("type_env", "")).encode():
        raise NotApplicable("protobuf messages")
    if "cel.block" in case.expression or "cel.iterVar" in case.expression:
        raise NotApplicable("the form that cel-go's optimizer gives an expression; Kubernetes accepts none of it")
    if "container" in case.message:
        raise NotApplicable("names of a protobuf package")
    if "eval_error" in case.message or "any_eval_errors" in case.message:
        return FAULT
    if "typed_result" in case.message:
        return _value(case.message["typed_result"][0]["result"][0])
    return _value(case.message["value"][0]) if "value" in case.message else True


def _bindings(case: Case) -> dict[str, Any]:
    found = {}
    for binding in case.message.get("bindings", []):
        value = binding["value"][0]
        found[_text(binding["key"][0])] = _value(value.get("value", [value])[0])
    if any("." in name for name in found):
        raise NotApplicable("variables with dots in their names")
    return found


def _value(message: Message) -> Any:  # noqa: C901  # one case for each kind of value
    """The value of a message of cel.expr.Value."""
    field = next(iter(message), "null_value")
    raw: Any = message[field][0] if message else "NULL_VALUE"
    match field:
        case "null_value":
            return None
        case "bool_value":
            return raw == "true"
        case "int64_value":
            return int(raw, 0)
        case "uint64_value":
            return UInt(int(raw, 0))
        case "double_value":
            return float(raw)
        case "string_value":
            return _text(raw)
        case "bytes_value":
            return raw
        case "list_value":
            return [_value(item) for item in raw.get("values", [])]
        case "map_value":
            return {to_key(_value(entry["key"][0])): _value(entry["value"][0]) for entry in raw.get("entries", [])}
        case "type_value" if _text(raw) in TYPE_NAMES:
            return TYPE_NAMES[_text(raw)]
        case "object_value":
            return _object(raw)
    raise NotApplicable("protobuf messages")


def _object(message: Message) -> Any:
    ((name, (fields,)),) = message.items()
    nanos = int(fields.get("seconds", ["0"])[0]) * 10**9 + int(fields.get("nanos", ["0"])[0]) if isinstance(fields, dict) else 0
    if name.endswith("google.protobuf.Timestamp"):
        return time_of(nanos)
    if name.endswith("google.protobuf.Duration"):
        if not fits_int(nanos):
            raise NotApplicable("durations beyond 292 years, which cel-go and Kubernetes refuse")
        return span_of(nanos)
    raise NotApplicable("protobuf messages")


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def same(value: Any, expected: Any) -> bool:
    """Whether a value is the expected one, with its type, also within lists and maps; NaN is NaN."""
    if type_of(value) != type_of(expected):
        return False
    if is_mapping(value):
        keys = {repr((type(of_key(key)), of_key(key))) for key in value} == {
            repr((type(of_key(key)), of_key(key))) for key in expected
        }
        return keys and all(same(item, expected[key]) for key, item in value.items())
    if isinstance(value, list):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(value, float):
        return value == expected or (math.isnan(value) and math.isnan(expected))
    if isinstance(value, datetime | timedelta):
        return equal(value, expected)
    return bool(value == expected)
