"""Finds the tests in files, and the packs that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.cel import Cel
from engine.errors import Fault, InvalidText, Location, UsageError
from engine.packs.diagnostics import spec_faults
from engine.packs.document import Document
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.packs.sources import Text, load_folder
from engine.packs.yamltext import PACK_BOUNDS, read_yaml
from engine.testing.schema import RulePackTestSpec, TestSpec

KIND = "RulePackTest"


@dataclass(frozen=True, slots=True)
class Suite:
    """One RulePackTest: what it says, where that stands, and the packs under test."""

    name: str
    spec: TestSpec
    document: Document
    file: Path
    packs: Mapping[str, RulePack]


def load_suites(paths: Sequence[Path], cel: Cel) -> tuple[list[Suite], list[Fault]]:
    """The tests in these files and folders, and the faults of texts that hold tests or packs under test.

    Raises UsageError where a path does not exist, or there is no test.
    """
    loader = _Loader(cel)
    for text in load_folder(paths):
        loader.take(text)
    if not loader.suites and not loader.faults:
        raise UsageError(f"no tests in {', '.join(map(str, paths))}; expected a file with a document of kind {KIND}")
    return loader.suites, loader.faults


class _Loader:
    """Reads each pack once, however many tests are about it."""

    def __init__(self, cel: Cel) -> None:
        self.suites: list[Suite] = []
        self.faults: list[Fault] = []
        self._cel = cel
        self._packs: dict[str, Sequence[RulePack]] = {}

    def take(self, text: Text) -> None:
        """Take in the tests of one text; a text without any may be anything."""
        self.faults += text.faults
        if KIND not in text.text and len(text.text) <= PACK_BOUNDS.size:
            return
        try:
            documents = read_yaml(text.text, lambda line, column: Location(text.file, line, column))
        except InvalidText as invalid:
            self.faults += invalid.faults
            return
        for document in documents:
            if isinstance(document.value, dict) and document.value.get("kind") == KIND:
                self._suite(document, Path(text.file))

    def _suite(self, document: Document, file: Path) -> None:
        raw: dict[str, Any] = document.value
        try:
            spec = RulePackTestSpec.model_validate(raw)
        except ValidationError as error:
            self.faults += spec_faults(error, RulePackTestSpec, raw, document)
            return
        packs: dict[str, RulePack] = {}
        for place, path in self._paths(spec.spec, document, file):
            try:
                packs |= {pack.identity: pack for text in load_folder([path]) for pack in self._parsed(text)}
            except UsageError as error:
                self.faults.append(Fault(place, str(error)))
            except InvalidText as invalid:
                self.faults += [fault for fault in invalid.faults if fault not in self.faults]
                return
        if not packs:
            self.faults.append(
                Fault(document.locate(()), "there is no pack to test", "packs: with files or folders, or packs beside")
            )
            return
        self.suites.append(Suite(spec.metadata.name, spec.spec, document, file, packs))

    @staticmethod
    def _paths(spec: TestSpec, document: Document, file: Path) -> Iterator[tuple[Location, Path]]:
        if not spec.packs:
            yield document.locate(()), file.parent
        for index, path in enumerate(spec.packs):
            yield document.locate(("spec", "packs", index)), file.parent / path

    def _parsed(self, text: Text) -> Sequence[RulePack]:
        if text.file not in self._packs:
            if text.faults:
                raise InvalidText(text.faults)
            self._packs[text.file] = parse_pack(text.text, text.file, self._cel) if "RulePack" in text.text else ()
        return self._packs[text.file]
