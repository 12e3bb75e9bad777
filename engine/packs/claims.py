"""Which names of packs nothing else may have, since the text that had them, or may have had them, is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from engine.errors import InvalidText, Location
from engine.model.objects import dig
from engine.packs.references import text_source
from engine.packs.sources import PackObject, Text
from engine.packs.versions import Version
from engine.packs.yamltext import read_yaml

_METADATA = re.compile(r"^metadata:(.*(?:\n[ \t].*|\n(?=\s))*)", re.MULTILINE)
"""What stands below the metadata of a pack, in a text that is no YAML."""
_NAME = re.compile(r"""(?<![\w./-])name["']?:\s*["']?([a-z0-9][-a-z0-9]*)""")
_WITHIN = re.compile(r"""\bmetadata["']?:\s*\{?(?:[^{}]|\{[^{}]*\})*?""" + _NAME.pattern)
"""The name of a pack that is written in one line with others, as in JSON."""


def claims(objects: Sequence[PackObject], own: Sequence[Text], versions: Mapping[str, Version]) -> dict[str, str]:
    """Return the names that no other text may have, each with the RulePack or the text of a ConfigMap that has it.

    Those are where a RulePack's own text, or that of the ConfigMap which it names, has a fault and was never good, as after
    a restart: it may have been there to replace or to disable what else has the name. The same goes for a text of a ConfigMap
    that was there when the process began; of one that comes later with faults, nothing was in force. What an earlier ConfigMap
    has stays its own.
    """
    good = {(text.source, pack.identity) for text in own for pack in versions[text.file].packs}
    broken = {text.source for text in own if versions[text.file].faults}
    found: dict[str, str] = {}
    for obj in objects:
        version, text = versions[obj.file], text_source(obj)
        never_good = not obj.reference and not version.packs and version.accepted is None
        if never_good or (obj.reference and text in broken and (text, obj.name) not in good):
            found[obj.name] = obj.file
    taken: set[str] = set()
    for each in own:
        version = versions[each.file]
        taken.update(pack.identity for pack in version.packs)
        if version.initial and version.faults and not version.packs:
            found |= dict.fromkeys(names_in(each.text) - taken - found.keys(), each.file)
    return found


def refused_shipped(shipped: Sequence[Text], versions: Mapping[str, Version]) -> dict[str, str]:
    """Return the names of the shipped packs whose text is refused and was never good, each with its file.

    That is no fault of the text: a library of the user's own hides the shipped one that it calls.
    """
    texts = [text for text in shipped if versions[text.file].faults and not versions[text.file].packs]
    return {name: text.file for text in texts for name in names_in(text.text)}


def callers(library: str, versions: Iterable[Version]) -> set[str]:
    """Return the names of the packs in refused texts that call a function of a library, whatever is wrong with the call."""
    call, found = re.compile(rf"(?<![\w.]){re.escape(library)}\.\w+\("), set[str]()
    for version in versions:
        read = version.read
        if not version.faults or read is None:
            continue
        text = read.text if isinstance(read, Text) else str(read.spec)
        if call.search(text):
            found |= names_in(text) if isinstance(read, Text) else {read.name}
    return found


def names_in(text: str) -> set[str]:
    """Return the names of the packs in a text that is refused, as far as they can be read."""
    return {*specs_in(text)}


def specs_in(text: str) -> dict[str, Mapping[str, Any] | None]:
    """Return by name the specs of the packs in a text that is refused, as far as they can be read; None where it is no YAML."""
    try:
        documents = [each.value for each in read_yaml(text, partial(Location, ""))]
    except InvalidText:
        return dict.fromkeys(_NAME.findall("".join(_METADATA.findall(text))) or _WITHIN.findall(text))
    packs = [each for each in documents if dig(each, ("kind",), "") == "RulePack"]
    specs = ((str(dig(each, ("metadata", "name"), "")), each.get("spec")) for each in packs)
    return {name: spec if isinstance(spec, dict) else {} for name, spec in specs}
