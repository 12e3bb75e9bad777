"""The check of libraries beside the packs that use them."""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import Fault
from engine.packs.lint.base import Check, Severity, Subject


class UnusedFunction(Check):
    """A function of a library is called by no rule pack and by no other function.

    It is reported only where packs are given together with the library, and nothing has faults: give all packs that use it.
    """

    name = "unused-function"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such function."""
        if not subject.packs or not subject.complete:
            return
        expressions = (each.program.tree for parsed in subject.packs for each in parsed.expressions)
        bodies = (function.body for function in subject.libraries.functions.defined.values())
        used = {name for tree in (*expressions, *bodies) for name in tree.functions}
        for library in sorted(subject.libraries.given & subject.libraries.libraries.keys()):
            document = subject.libraries.libraries[library].document
            for name in subject.libraries.libraries[library].functions:
                if name not in used:
                    location = document.locate_key(("spec", "functions", name.rpartition(".")[2]))
                    yield self.fault(location, f"no rule pack calls {name}()", "a call of it, or no such function")
