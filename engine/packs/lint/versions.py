"""The check of keys that every write of the object changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.actions import ACTIONS
from engine.cel import Program, fields_of
from engine.cel.reads import reads
from engine.cel.syntax import Bind, Call, Comprehension, Has, Literal, Node, Select, field_path
from engine.cel.uses import with_vars
from engine.errors import Fault
from engine.packs.lint.base import Check, Severity, Subject, location_of, raw_rules
from engine.packs.lint.fields import missing_of
from engine.packs.lint.scope import kind_type
from engine.packs.parse import ParsedPack

_CHANGED_BY_WRITES = frozenset({("object", "metadata", "resourceVersion"), ("object", "metadata", "managedFields")})
_RECORDED_IN = ("object", "metadata", "annotations")
_LABELS = ("object", "metadata", "labels")
_READING = frozenset(["get", "jmespath", "_?._"])
_CHOOSING = frozenset([
    "_[_]", "_[?_]", "_in_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "label", "annotation", "size", "type",
])  # fmt: skip
"""Functions and operators that see a whole object, and of which the answer has a part of it only."""


class VersionInKey(Check):
    """`oncePer` reads something that every write of the object changes, the engine's own too.

    What has been done for a value of `oncePer` is recorded on the object, in an annotation. With
    `oncePer: object.metadata.resourceVersion`, or with `toJson(object)`, that record makes another value, for which the rule
    fires once more, without end or after each restart of the engine. So do all labels of an object, where the rule itself sets
    one. Use what the rule is about, such as `hash(toJson(object.data))`, `annotation(object, 'example.com/version')`, or
    `string(object.metadata.generation)`, which only a change of the spec raises.
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
                programs = with_vars([expression.program], rule.vars)
                read = {fields_of(path) for program in programs for path in program.reads}
                location = location_of(parsed, expression, 0)
                for path in sorted(read & _CHANGED_BY_WRITES):
                    changed = "which each write of the object changes: its own record has the rule fire again"
                    yield self.fault(location, f"oncePer reads {path[-1]}, {changed}", _instead(subject, parsed, index, path))
                for path in sorted(_whole([expression.program], rule.vars)):
                    if reason := _changes(path, _sets_label(parsed, index)):
                        message = f"oncePer reads all of {'.'.join(path)}, {reason}"
                        yield self.fault(location, message, _instead(subject, parsed, index, path))


def _whole(programs: Iterable[Program], vars: Mapping[str, Program]) -> set[tuple[str, ...]]:
    """Return the paths of the objects and mappings that are in an answer as a whole, also by way of vars."""
    found, nodes, seen = set[tuple[str, ...]](), [program.tree.root for program in programs], set[str]()
    while nodes:
        for path in _in_answer(nodes.pop()):
            match path:
                case ("vars", name) if name in vars and name not in seen:
                    seen.add(name)
                    nodes.append(vars[name].tree.root)
                case _:
                    found.add(path)
    return found


def _in_answer(node: Node) -> Iterator[tuple[str, ...]]:
    """Yield the paths of what is in the answer of a node, not only asked about."""
    if path := field_path(node):
        yield path
        return
    match node:
        case Call(name=name, arguments=(_, Literal(value=str()), *_)) if name in _READING:
            yield from (fields_of(path) for path in reads(node))
        case Call(name=name) if name in _CHOOSING or name in _READING:
            return
        case Has() | Comprehension() | Select():
            return
        case Bind(body=body):
            yield from _in_answer(body)
        case _:
            for child in node.children:
                yield from _in_answer(child)


def _changes(path: tuple[str, ...], sets_label: bool) -> str:
    """Return why firing changes the value at a path; '' where it does not."""
    if path == _RECORDED_IN[: len(path)]:
        return "which holds the engine's own record: that has the rule fire again"
    return "of which the rule itself sets one: that has it fire again" if sets_label and path == _LABELS else ""


def _sets_label(parsed: ParsedPack, index: int) -> bool:
    """Return whether a rule sets a label of the watched object."""
    raw = raw_rules(parsed)[index]
    entries = [entry for part in ("actions", "rescue") for entry in raw.get(part) or ()]
    actions = [(name, entry[name]) for entry in entries for name in entry.keys() & ACTIONS.keys()]
    written = [write for name, spec in actions for write in ACTIONS[name].metadata(spec)]
    return any(write.target is None and write.part == "labels" for write in written)


def _instead(subject: Subject, parsed: ParsedPack, index: int, path: tuple[str, ...]) -> str:
    """Return what to read in place of a path."""
    for part in ("annotations", "labels"):
        if path == ("object", "metadata", part):
            name = part.removesuffix("s")
            return f"the {name} that the rule is about, such as {name}(object, 'example.com/version')"
    types = [kind_type(subject, kind) for kind in parsed.pack.kinds(parsed.pack.rules[index])]
    field = next((each for each in ("spec", "data") if not any(missing_of(kind, (each,)) for kind in types)), "metadata.uid")
    what = f"hash(toJson(object.{field}))" if field != "metadata.uid" else f"object.{field}"
    return f"what the rule is about, such as {what}"
