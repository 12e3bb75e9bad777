"""The faults of one document, noted by the path of what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.cel import Compiled, Compiler, Path
from engine.errors import Fault
from engine.packs.document import Document
from engine.packs.jsonschemas import SchemaFault


class Notes:
    """Collects the faults of a document."""

    def __init__(self, document: Document) -> None:
        self.faults: list[Fault] = []
        self.compiled: list[Compiled] = []
        self._document = document

    def fault(self, path: Path, message: str, expected: str = "", *, at_key: bool = False, code: str = "declaration") -> None:
        """Note a fault of the value at a path, or of the key that the path ends with."""
        where = self._document.locate_key(path) if at_key else self._document.locate(path)
        self.faults.append(Fault(where, message, expected, code))

    def take(self, compiler: Compiler) -> None:
        """Take in what a compiler has noted, and what it has compiled."""
        self.faults += compiler.faults
        self.compiled += compiler.compiled

    def add(self, faults: Iterable[SchemaFault], base: Path) -> None:
        """Note what a JSON Schema, or a check against one, found below a path."""
        for fault in faults:
            self.fault((*base, *fault.path), fault.message, fault.expected, at_key=fault.at_key)

    def unique(self, names: Sequence[str], what: str, path: Path, below: Path = ()) -> None:
        """Note a fault for each name in the list at a path that stands there before; `below` leads from an item to its name."""
        for index, name in enumerate(names):
            if name and name in names[:index]:
                self.fault((*path, index, *below), f"a second {what} {name!r}", f"each {what} once")
