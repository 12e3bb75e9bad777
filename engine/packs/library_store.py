"""The last good version of every library: of the shipped ones, of those in ConfigMaps, and of objects of kind RuleLibrary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.cel import Backend
from engine.packs.libraries import read_libraries, shipped_libraries
from engine.packs.library import KIND
from engine.packs.sources import LibraryObject, Text
from engine.packs.versions import Reports


class LibraryStore:
    """Keeps what was good. `libraries` is what packs may call; it is replaced only where something was written anew."""

    def __init__(self, cel: Backend) -> None:
        self.libraries = shipped_libraries()
        self._cel = cel
        self._written: Sequence[Text | LibraryObject] | None = None
        self._own = frozenset[str]()

    def update(self, texts: Sequence[Text], objects: Sequence[LibraryObject], reports: Reports) -> frozenset[str]:
        """Read the libraries of all texts and objects; one with faults stays as it was. Return the names of those that changed.

        Of several of one name an object goes before a ConfigMap, and that before a shipped one, which is a text of its own.
        """
        before = self.libraries
        written: list[Text | LibraryObject] = [*objects, *(text for text in texts if KIND in text.text)]
        shipped = [each for each in written if isinstance(each, Text) and each.source == each.file]
        if written != self._written:
            self._written = written
            below = read_libraries(shipped, self._cel)
            last = {name: library for name, library in before.libraries.items() if name in self._own}
            found = read_libraries([each for each in written if each not in shipped], self._cel, below, last)
            self.libraries, self._own = replace(found, faults=(*below.faults, *found.faults)), found.given
        sources = {each.file: each.source for each in written}
        for fault in self.libraries.faults:
            reports.faults[sources.get(fault.location.file, fault.location.file)].append(fault)
        for warning in self.libraries.warnings:
            reports.warnings[sources[warning.location.file]].append(warning)
        for obj in objects:
            reports.generations[obj.source] = self._generation(obj)
            reports.warnings[obj.source] += obj.warnings
        return self.libraries.changed(before)

    def _generation(self, obj: LibraryObject) -> int | None:
        """Return which generation of an object is in force, None where none is."""
        library = self.libraries.libraries.get(obj.name)
        origin = library.origin if library else None
        return origin.generation if isinstance(origin, LibraryObject) and origin.file == obj.file else None
