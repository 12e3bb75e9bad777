"""The kinds of text that keys of a rule pack take: names, durations, selectors, paths, each checked with words of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, TypeAdapter, ValidationError, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from engine.cel.documents import path_steps
from engine.cel.values import Mismatch
from engine.model.labels import PARTS, LabelSelector, SelectorSpec, selector_text
from engine.model.names import bad_label, dns_label
from engine.model.spec import NO_VALUE
from engine.model.text import found

#: Names that a loop variable cannot have: those of the built-in variables, and CEL's own words.
RESERVED = (
    "object", "oldObject", "params", "inputs", "inputErrors", "vars", "flags", "target", "group", "groupKey", "results", "error",
    "lookup", "now", "schedule", "true", "false", "null", "in",
)  # fmt: skip
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_METRIC = re.compile(r"(?!rulepack_)[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_METRIC_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
_DURATION = r"([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+"
DURATION_PATTERN = f"^{_DURATION}$"
"""What a duration looks like, as JSON Schema has it."""
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_DURATION = 3660 * 86400.0
_LONGEST_SELECTOR = 1000
_LONGEST_PATH = 500
#: One requirement of a selector: `key` or `!key`, `key=value` (also == and !=), `key in (a,b)` (also notin).
_REQUIREMENT = re.compile(
    r"\s*(?:!?\s*(?P<alone>[^\s!=,()]+)|(?P<key>[^\s!=,()]+)\s*(?:(?:==?|!=)\s*(?P<value>[^\s!=,()]*)"
    r"|\s(?:in|notin)\s*\((?P<values>[^()]*)\)))\s*(?:,|\Z)"
)
_SELECTOR = "a mapping of labels to values, matchLabels and matchExpressions, or a text such as 'app=web,tier in (a,b),!old'"


def refusal(message: str, expected: str) -> PydanticCustomError:
    """Return what a validator raises: what is wrong, and what was expected."""
    return PydanticCustomError("rulepack", "{message}", {"message": message, "expected": expected})


def unfit(value: Any, expected: str) -> PydanticCustomError:
    """Return what a validator of a key that need not be there raises, where a value is none of what was expected."""
    return refusal(f"{found(value)} stands here", f"{expected}; {NO_VALUE}" if value is None else expected)


def seconds(value: Any) -> float:
    """Return a duration such as `1h30m` in seconds. Raise PydanticCustomError where it is none."""
    expected = "a duration such as 500ms, 2s, 5m, 1h30m or 7d"
    if not isinstance(value, str) or len(value) > 40 or not re.fullmatch(_DURATION, value):
        raise refusal(f"{found(value)} is not a duration", _of_number(value) or _meant(value) or expected)
    total = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if total > _LONGEST_DURATION:
        raise refusal(f"the duration {value} is too long", "at most 3660d")
    return total


def _of_number(value: Any) -> str:
    """Return the duration that a whole number is, taken for seconds; '' where it is none."""
    if not re.fullmatch(r"[1-9]\d{0,8}", str(value)):
        return ""
    number = int(value)
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if number % size == 0)
    return f"{number // size}{unit} for {number} seconds: a duration has a unit"


#: What people write for a unit -> the unit here, and how many of it.
_UNITS = {
    word: unit
    for unit, words in {
        (1, "ms"): "ms millisecond milliseconds", (1, "s"): "s sec secs second seconds", (1, "m"): "m min mins minute minutes",
        (1, "h"): "h hr hrs hour hours", (1, "d"): "d day days", (7, "d"): "w week weeks",
    }.items()
    for word in words.split()
}  # fmt: skip
_AMOUNT = re.compile(r"\s*(?:and\s+)?(\d{1,6})\s*([A-Za-z]{1,12}),?")


def _meant(value: Any) -> str:
    """Return the duration that `5 minutes`, `1h 30m`, `PT5M`, `[5m]` or `{minutes: 5}` is; '' where none is known."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    elif isinstance(value, dict):
        value = " ".join(f"{number} {unit}" for unit, number in value.items())
    text = str(value)[:80].strip()
    if iso := re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", text):
        text = " ".join(f"{number}{unit}" for number, unit in zip(iso.groups(), "dhms", strict=True) if number)
    amounts = [(number, _UNITS.get(unit.lower())) for number, unit in _AMOUNT.findall(text)]
    whole = not _AMOUNT.sub("", text)
    parts = [f"{int(number) * unit[0]}{unit[1]}" for number, unit in amounts if unit is not None]
    return "".join(parts) if parts and whole and len(parts) == len(amounts) else ""


def occasion(value: Any) -> Any:
    """Return what `oncePer` has. Raise PydanticCustomError for a constant or a period, which name no occasion."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and re.fullmatch(_DURATION, value) and len(value) < 40):
        raise refusal(
            f"{found(value)} names no occasion",
            "CEL such as object.metadata.uid for once per object, or throttle: {every: 1h} for once in a time",
        )
    return value


def _name(valid: Callable[[str], object], what: str, expected: str) -> AfterValidator:
    """Return what refuses a text that is not valid: it cannot be `what`."""

    def checked(value: str) -> str:
        if not valid(value):
            raise refusal(f"{found(value)} cannot be {what}", expected)
        return value

    return AfterValidator(checked)


def _loop_variable(value: str) -> str:
    if value in RESERVED:
        raise refusal(f"{value!r} is a variable or a word of the language itself", "another name")
    return value


def _field_path(value: str) -> str:
    if len(value) > _LONGEST_PATH:
        raise refusal(f"the path has {len(value)} characters", f"at most {_LONGEST_PATH}")
    if below := re.match(r"object\.(?=(?:metadata|spec|status|data)\b)", value):
        raise refusal(f"the path {value} begins with the object itself", value[below.end() :])
    try:
        path_steps(value)
    except Mismatch as fault:
        above = re.match(r"([\w.]+)\[(?:\d+|\*|)\]", value)
        whole = f"{above[1]}: a list is watched as a whole" if above else ""
        raise refusal(str(fault), whole or "a path such as status.phase or metadata.annotations['a/b']") from None
    return value


def _selector(value: Any) -> str:
    """Return a label selector as the API server takes it. Source: apimachinery/pkg/labels/selector.go."""
    if isinstance(value, dict):
        if value.keys() <= PARTS and not all(isinstance(text, str) for text in value.values()):
            return _structured(value)
        for key, text in value.items():
            if not isinstance(text, str):
                raise refusal(f"the label {key} has {found(text)}, not a text", _as_text(key, text))
            _check_label(key, text)
        return ",".join(f"{key}={text}" for key, text in sorted(value.items()))
    if not isinstance(value, str):
        raise refusal(f"{found(value)} is not a label selector", _SELECTOR)
    if len(value) > _LONGEST_SELECTOR:
        raise refusal(f"the label selector has {len(value)} characters", f"at most {_LONGEST_SELECTOR}")
    if not value.strip():
        raise refusal(f"{found(value)} is not a label selector", f"{_SELECTOR}; for all objects take the key away, or write {{}}")
    for requirement in _requirements(value.strip()):
        for text in (requirement["values"] or requirement["value"] or "").split(","):
            _check_label(requirement["alone"] or requirement["key"], text.strip())
    return value.strip()


def _as_text(key: str, value: Any) -> str:
    """Return what to write in place of a label's value that is no text."""
    if value is None and ":" in key:
        return f"a blank after the colon: {key.replace(':', ': ', 1)}"
    return _SELECTOR if isinstance(value, dict | list) else "a text: put it in quotes"


class _SelectorForms:
    """Gives the JSON Schema of a selector, which is a text once it is read."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return that of a text, or of one of the mappings."""
        return {"anyOf": [{"type": "string"}, handler(TypeAdapter(LabelSelector).core_schema)]}


def _structured(selector: dict[str, Any]) -> str:
    """Return a selector with `matchLabels` and `matchExpressions` as a text."""
    try:
        SelectorSpec.model_validate(selector)
        return selector_text(selector)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
        if first["type"] == "string_type":
            raise refusal(f"{place} has {found(first['input'])}, not a text", "a text: put it in quotes") from None
        raise refusal(f"{place}: {first.get('ctx', {}).get('error', first['msg'])}", _SELECTOR) from None
    except ValueError as bad:
        raise refusal(str(bad), _SELECTOR) from None


def _requirements(text: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(text):
        match = _REQUIREMENT.match(text, at)
        if match is None:
            raise refusal(f"the label selector is not understood at {text[at : at + 40]!r}", _SELECTOR)
        yield match
        at = match.end()
    if text.endswith(","):
        raise refusal("the label selector ends with ','", _SELECTOR)


def _check_label(key: str, value: str) -> None:
    if why := bad_label(key, value):
        raise refusal(why, _SELECTOR)


Name = Annotated[str, _name(dns_label, "a name", "lower case letters, digits and '-', at most 63, such as restart-pods")]
RuleName = Annotated[str, _name(lambda name: name.count("/") <= 1 and all(map(dns_label, name.split("/"))), "a rule's name",
                                "a name such as restart-pods, or restarts/restart-pods for one in another pack")]  # fmt: skip
Identifier = Annotated[str, _name(lambda name: IDENTIFIER.match(name) and len(name) <= 63, "named in an expression",
                                  "letters, digits and '_', no digit first, at most 63, such as maxReplicas")]  # fmt: skip
Text = Annotated[str, Field(min_length=1)]
Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
Period = Annotated[Duration, Field(gt=0)]
ModeName = Literal["Enforce", "Audit", "Disabled", "Off"]
Verb = Literal["get", "list", "watch", "create", "update", "patch", "patch/status", "delete", "evict"]
Selector = Annotated[str, BeforeValidator(_selector), _SelectorForms()]
LoopVariable = Annotated[Identifier, AfterValidator(_loop_variable)]
FieldPath = Annotated[str, AfterValidator(_field_path)]
MetricName = Annotated[str, _name(_METRIC.match, "a metric's name", "letters, digits, '_' and ':', and not rulepack_ first")]
MetricLabel = Annotated[str, _name(_METRIC_LABEL.match, "a metric's label", "letters, digits and '_', not a digit or '__' first")]
