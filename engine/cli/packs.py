"""The rule packs that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.cel import Cel
from engine.errors import Fault, InvalidText, UsageError
from engine.packs.pack import RulePack
from engine.packs.parse import parse_text
from engine.packs.sources import load_folder


def read_packs(paths: Sequence[Path], cel: Cel) -> list[RulePack]:
    """The packs in these files and folders. Raises UsageError where there are none, InvalidText with every fault of all."""
    packs: list[RulePack] = []
    faults: list[Fault] = []
    for text in load_folder(paths):
        read, wrong = parse_text(text.text, text.file, cel, manifests=True)
        packs += [parsed.pack for parsed in read]
        faults += [*text.faults, *wrong]
    if faults:
        raise InvalidText(faults)
    if not packs:
        raise UsageError(f"no rule packs in {', '.join(map(str, paths))}; expected a document of kind RulePack")
    return packs
