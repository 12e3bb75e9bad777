"""The check for what kubectl reads otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.errors import Fault
from engine.model.flags import DISABLED
from engine.packs.document import YamlDocument
from engine.packs.lint.base import Check, Severity, Subject

#: Plain scalars that YAML 1.1 takes for booleans and YAML 1.2 for texts. Source: https://yaml.org/type/bool.html.
_BOOLEAN = re.compile(r"(?P<true>y|Y|yes|Yes|YES|on|On|ON)|n|N|no|No|NO|off|Off|OFF")
#: What the kind RulePack has instead.
_WORDS = {"on": "'event' as the key of a rule, quotes elsewhere", "Off": f"'{DISABLED}' as a mode, quotes elsewhere"}


class OtherwiseInKubectl(Check):
    """A word that kubectl reads as true or false: `on`, `off`, `yes`, `no`, `y` or `n` without quotes.

    kubectl reads YAML 1.1. So what `kubectl apply -f pack.yaml` sends of `on: Delete` is `true: Delete`, and of
    `mode: Off` it is `mode: false`; the API server or the operator refuses both. Write `event: Delete` and `mode: Disabled`,
    and put other such words in quotes. Within the data of a ConfigMap, which is a text to kubectl, nothing changes.
    """

    name = "otherwise-in-kubectl"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such word of each pack."""
        for parsed in subject.packs:
            if isinstance(parsed.document, YamlDocument):
                for location, text in parsed.document.plain_texts():
                    if boolean := _BOOLEAN.fullmatch(text):
                        read = "true" if boolean["true"] else "false"
                        yield self.fault(location, f"kubectl reads {text} as {read}", _WORDS.get(text, "quotes"))
