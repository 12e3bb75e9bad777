"""The check for what kubectl reads otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.cel import Path
from engine.errors import Fault
from engine.model.flags import DISABLED
from engine.packs.document import YamlDocument
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.parse import ParsedPack

#: Plain scalars that YAML 1.1 takes for booleans and YAML 1.2 for texts. Source: https://yaml.org/type/bool.html.
_BOOLEAN = re.compile(r"(?P<true>y|Y|yes|Yes|YES|on|On|ON)|n|N|no|No|NO|off|Off|OFF")
#: Actions that write texts, and the key that has them.
_TEXTS = (("label", "labels"), ("annotate", "annotations"))
#: What the kind RulePack has instead.
_WORDS = {"on": "'event' as the key of a rule, quotes elsewhere", "Off": f"'{DISABLED}' as a mode, quotes elsewhere"}


class OtherwiseInKubectl(Check):
    """What kubectl reads otherwise: `on`, `off`, `yes`, `no`, `y` or `n` without quotes, and in a label a number such as `1.0`.

    kubectl reads YAML 1.1. So what `kubectl apply -f pack.yaml` sends of `on: Delete` is `true: Delete`, and of
    `mode: Off` it is `mode: false`; the API server or the operator refuses both. Write `event: Delete` and `mode: Disabled`,
    and put other such words in quotes. A number becomes another text where kubectl writes it in another way: the label `1.0` is
    `1` then, and `1.10` is `1.1`. Within the data of a ConfigMap, which is a text to kubectl, nothing changes.
    """

    name = "otherwise-in-kubectl"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such word of each pack."""
        for parsed in subject.packs:
            document = parsed.document
            if not isinstance(document, YamlDocument):
                continue
            for path, value in _numbers(parsed):
                text, read = document.text_at(path), _as_kubectl(value)
                if text != read:
                    yield self.fault(document.locate(path), f"kubectl reads {text} as {read}", f"'{text}', in quotes")
            for location, text in document.plain_texts():
                if boolean := _BOOLEAN.fullmatch(text):
                    read = "true" if boolean["true"] else "false"
                    yield self.fault(location, f"kubectl reads {text} as {read}", _WORDS.get(text, "quotes"))


def _numbers(parsed: ParsedPack) -> Iterator[tuple[Path, int | float]]:
    """Yield each number that a rule writes as the text of a label or an annotation, with its path."""
    for index, raw in enumerate(raw_rules(parsed)):
        entries = [(part, number, entry) for part in ("actions", "rescue") for number, entry in enumerate(raw.get(part) or ())]
        for part, number, entry in entries:
            for name, below in _TEXTS:
                for key, value in _mapping(_mapping(_mapping(entry).get(name)).get(below)).items():
                    if type(value) in (int, float):
                        yield ("spec", "rules", index, part, number, name, below, key), value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_kubectl(value: int | float) -> str:
    """Return the JSON that kubectl makes of a number."""
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value)
