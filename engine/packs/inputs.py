"""What users write on their own objects: the text of an annotation, parsed and checked before any rule sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from engine.errors import Fault, InvalidText, Location
from engine.packs.document import Document
from engine.packs.jsonschemas import Checker, SchemaFault
from engine.packs.yamltext import Bounds, read_yaml

#: What all inputs of a pack may hold together, since they are parsed in one go, in about 60 ms at most. The size is that of all
#: annotations of an object (kubernetes: apimachinery/pkg/api/validation/objectmeta.go).
BOUNDS = Bounds(size=256 * 1024, nodes=2_500, depth=32, aliases=100)
SHOWN_FAULTS = 20

_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Input:
    """An annotation that a pack reads: its format, the JSON Schema of its value, and the value where it is absent."""

    name: str
    annotation: str
    format: Literal["yaml", "json"] = "yaml"
    schema: Mapping[str, Any] = field(default_factory=dict)
    default: Any = None
    bounds: Bounds = BOUNDS
    _checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_checker", Checker(self.schema))

    def parse(self, text: str) -> tuple[Any, str]:
        """The value and '', or None and every fault of the text as one string. Never raises."""
        try:
            return self._parse(text), ""
        except InvalidText as invalid:
            told = [_told(fault) for fault in invalid.faults[:SHOWN_FAULTS]]
            more = len(invalid.faults) - len(told)
            return None, "; ".join([*told, f"and {more} more"] if more > 0 else told)

    def _parse(self, text: str) -> Any:
        if self.format == "json":
            text = _strict_json(text)
        documents = read_yaml(text, _place, self.bounds)
        if len(documents) > 1:
            raise InvalidText([Fault(documents[1].locate(()), "a second document", "one document")])
        value = documents[0].value if documents else None
        faults = self._checker.faults(value)
        if faults:
            raise InvalidText([_located(fault, documents) for fault in faults])
        return value


def _located(fault: SchemaFault, documents: list[Document]) -> Fault:
    if not documents:
        return Fault(_place(1, 1), fault.message, fault.expected)
    where = documents[0].locate_key(fault.path) if fault.at_key else documents[0].locate(fault.path)
    return Fault(where, fault.message, fault.expected)


def _strict_json(text: str) -> str:
    """The text, if it is JSON, as the YAML that it also is: only a pair of surrogate escapes is written otherwise there."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as fault:
        raise InvalidText([Fault(_place(fault.lineno, fault.colno), f"not JSON: {fault.msg}")]) from None
    except (ValueError, RecursionError) as fault:
        reason = "nested too deep" if isinstance(fault, RecursionError) else str(fault)
        raise InvalidText([Fault(_place(1, 1), f"not JSON: {reason}")]) from None
    return _SURROGATES.sub(_one_escape, text)


def _one_escape(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08X}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _place(line: int, column: int) -> Location:
    return Location("", line, column)


def _told(fault: Fault) -> str:
    where = f"line {fault.location.line}, column {fault.location.column}"
    return f"{where}: {fault.message}" + (f"; expected {fault.expected}" if fault.expected else "")
