"""What users write on their own objects: the text of an annotation, parsed and checked before any rule sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
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
#: Gives the Location of a line and a column; the text has no file's name.
_locate = partial(Location, "")


@dataclass(frozen=True, slots=True)
class Input:
    """An annotation that a pack reads: its format, the JSON Schema of its value, and the value where it is absent.

    `param` names the parameter that gives another key for it, '' where none does.
    """

    name: str
    annotation: str
    format: Literal["yaml", "json"] = "yaml"
    schema: Mapping[str, Any] = field(default_factory=dict)
    default: Any = None
    bounds: Bounds = BOUNDS
    param: str = ""
    _checker: Checker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_checker", Checker(self.schema))
        object.__setattr__(self, "default", self._checker.typed(self.default))

    def key(self, params: Mapping[str, Any]) -> str:
        """Return the annotation's key under these parameters."""
        return str(params.get(self.param, self.annotation)) if self.param else self.annotation

    def parse(self, text: str) -> tuple[Any, str]:
        """Return the value and '', or None and every fault of the text as one string. Raise nothing."""
        try:
            return self._parse(text), ""
        except InvalidText as invalid:
            shown = [_described(fault) for fault in invalid.faults[:SHOWN_FAULTS]]
            more = len(invalid.faults) - len(shown)
            return None, "; ".join([*shown, f"and {more} more"] if more > 0 else shown)

    def _parse(self, text: str) -> Any:
        documents = read_yaml(_strict_json(text) if self.format == "json" else text, _locate, self.bounds)
        if len(documents) > 1:
            raise InvalidText([Fault(documents[1].locate(()), "a second document", "one document")])
        document = documents[0] if documents else None
        value = document.value if document else None
        if faults := self._checker.faults(value):
            raise InvalidText([Fault(_location(fault, document), fault.message, fault.expected) for fault in faults])
        return self._checker.typed(value)


def _location(fault: SchemaFault, document: Document | None) -> Location:
    if document is None:
        return _locate(1, 1)
    return document.locate_key(fault.path) if fault.at_key else document.locate(fault.path)


def _strict_json(text: str) -> str:
    """Return a JSON text as the YAML that it also is: only a pair of surrogate escapes is written otherwise there.

    Raise InvalidText where it is no JSON.
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as fault:
        raise InvalidText([Fault(_locate(fault.lineno, fault.colno), f"not JSON: {fault.msg}")]) from None
    except (ValueError, RecursionError) as fault:
        reason = "nested too deep" if isinstance(fault, RecursionError) else str(fault)
        raise InvalidText([Fault(_locate(1, 1), f"not JSON: {reason}")]) from None
    return _SURROGATES.sub(_one_escape, text)


def _one_escape(match: re.Match[str]) -> str:
    high, low = int(match[2], 16), int(match[3], 16)
    return f"{match[1]}\\U{0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF):08X}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _described(fault: Fault) -> str:
    where = f"line {fault.location.line}, column {fault.location.column}"
    return f"{where}: {fault.message}" + (f"; expected {fault.expected}" if fault.expected else "")
