"""Finds the tests in files, and the packs and libraries that they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from engine.cel import Backend, Defined
from engine.errors import Fault, InvalidText, Location, UsageError
from engine.packs.diagnostics import spec_faults
from engine.packs.document import Document
from engine.packs.libraries import Libraries, read_libraries
from engine.packs.library import KIND as LIBRARY
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.packs.sources import Text, load_folder
from engine.packs.yamltext import PACK_BOUNDS, read_yaml
from engine.testing import functions
from engine.testing.functions import FunctionCase, RuleLibraryTestSpec, cases_of
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


class Loaded(NamedTuple):
    """What was found: tests of packs, tests of functions, the functions of the libraries that are there, and all faults."""

    suites: list[Suite]
    calls: list[FunctionCase]
    functions: list[Defined]
    faults: list[Fault]
    texts: list[Text]
    """Those of the packs under test."""
    libraries: Libraries


def load_suites(paths: Sequence[Path], cel: Backend) -> Loaded:
    """The tests in these files and folders, and the faults of texts that hold tests, packs or libraries under test.

    Raises UsageError where a path does not exist, or there is no test.
    """
    texts = load_folder(paths)
    loader = _Loader(cel, texts)
    for text in texts:
        loader.take(text)
    if not loader.suites and not loader.calls and not loader.faults:
        raise UsageError(f"no tests in {', '.join(map(str, paths))}; expected a file with a document of kind {KIND}")
    return Loaded(loader.suites, loader.calls, loader.functions, loader.faults, loader.tested, loader.libraries)


class _Loader:
    """Reads each pack once, however many tests are about it. A test may use all libraries that have been met."""

    def __init__(self, cel: Backend, texts: Sequence[Text]) -> None:
        self.suites: list[Suite] = []
        self.calls: list[FunctionCase] = []
        self._cel = cel
        self._texts = {text.file: text for text in texts}
        self.libraries = read_libraries(texts, cel)
        self.faults = list(self.libraries.faults)
        names = self.libraries.functions.defined.items()
        self.functions = [each for name, each in names if name.rpartition(".")[0] in self.libraries.given]
        self._packs: dict[str, Sequence[RulePack]] = {}

    @property
    def tested(self) -> list[Text]:
        """The texts of the packs under test."""
        return [self._texts[file] for file, packs in self._packs.items() if packs]

    def take(self, text: Text) -> None:
        """Take in the tests of one text; a text without any may be anything."""
        self.faults += text.faults
        if not any(kind in text.text for kind in (KIND, functions.KIND)) and len(text.text) <= PACK_BOUNDS.size:
            return
        try:
            documents = read_yaml(text.text, lambda line, column: Location(text.file, line, column))
        except InvalidText as invalid:
            self.faults += [fault for fault in invalid.faults if fault not in self.faults]
            return
        for document in documents:
            kind = document.value.get("kind") if isinstance(document.value, dict) else None
            if kind == KIND:
                self._suite(document, Path(text.file))
            elif kind == functions.KIND:
                self._calls(document, Path(text.file))

    def _calls(self, document: Document, file: Path) -> None:
        try:
            spec = RuleLibraryTestSpec.model_validate(document.value)
        except ValidationError as error:
            self.faults += spec_faults(error, RuleLibraryTestSpec, document.value, document)
            return
        self._under_test(spec.spec.libraries, "libraries", document, file)
        if self.libraries.functions.refused and self.faults:
            return  # those faults are the cause of any other
        cases, faults = cases_of(spec, document, self.libraries, self._cel)
        self.calls += cases
        self.faults += faults

    def _under_test(self, paths: Sequence[str], key: str, document: Document, file: Path) -> list[Text]:
        """Return the texts of what tests are about; libraries in them are taken in."""
        texts: list[Text] = []
        for place, path in self._paths(paths, key, document, file):
            try:
                texts += load_folder([path])
            except UsageError as error:
                self.faults.append(Fault(place, str(error)))
        self._meet(texts)
        return texts

    def _meet(self, texts: Sequence[Text]) -> None:
        new = [text for text in texts if text.file not in self._texts]
        self._texts |= {text.file: text for text in new}
        if any(LIBRARY in text.text for text in new):
            self.libraries = read_libraries(self._texts.values(), self._cel)
            self.faults += [fault for fault in self.libraries.faults if fault not in self.faults]

    def _suite(self, document: Document, file: Path) -> None:
        raw: dict[str, Any] = document.value
        try:
            spec = RulePackTestSpec.model_validate(raw)
        except ValidationError as error:
            self.faults += spec_faults(error, RulePackTestSpec, raw, document)
            return
        packs: dict[str, RulePack] = {}
        texts = self._under_test(spec.spec.packs, "packs", document, file)
        for text in texts:
            try:
                packs |= {pack.identity: pack for pack in self._parsed(text)}
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
    def _paths(given: Sequence[str], key: str, document: Document, file: Path) -> Iterator[tuple[Location, Path]]:
        if not given:
            yield document.locate(()), file.parent
        for index, path in enumerate(given):
            yield document.locate(("spec", key, index)), file.parent / path

    def _parsed(self, text: Text) -> Sequence[RulePack]:
        if text.file not in self._packs:
            if text.faults:
                raise InvalidText(text.faults)
            packs = "RulePack" in text.text
            parsed = parse_pack(text.text, text.file, self._cel, libraries=self.libraries) if packs else ()
            self._packs[text.file] = parsed
        return self._packs[text.file]
