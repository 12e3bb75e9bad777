"""The check of keys that every write of the object changes."""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel import fields_of
from engine.cel.uses import with_vars
from engine.errors import Fault
from engine.packs.lint.base import Check, Severity, Subject, location_of

_CHANGED_BY_WRITES = frozenset({("object", "metadata", "resourceVersion"), ("object", "metadata", "managedFields")})


class VersionInKey(Check):
    """`oncePer` reads something that every write of the object changes, the engine's own too.

    What has been done for a value of `oncePer` is recorded on the object. With `oncePer: object.metadata.resourceVersion` that
    record makes another value, for which the rule fires once more, without end. Use what the rule is about, such as
    `hash(toJson(object.data))`, or `string(object.metadata.generation)`, which only a change of the spec raises.
    """

    name = "version-in-key"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each `oncePer` that reads such a field, itself or through vars."""
        for parsed in subject.packs:
            for expression in parsed.expressions:
                match expression.path:
                    case ("spec", "rules", int(index), "oncePer", *_):
                        rule = parsed.pack.rules[index]
                    case _:
                        continue
                read = {fields_of(path) for program in with_vars([expression.program], rule.vars) for path in program.reads}
                for path in sorted(read & _CHANGED_BY_WRITES):
                    changed = "which each write of the object changes: its own record has the rule fire again"
                    expected = "what the rule is about, such as hash(toJson(object.data))"
                    yield self.fault(location_of(parsed, expression, 0), f"oncePer reads {path[-1]}, {changed}", expected)
