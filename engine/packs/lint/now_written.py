"""`now` becomes part of something that is written, or of the key under which a rule fires.

Effects are named by their cause, never by the clock: what contains `now` is different at every look, so that the rule would
write again and again, and a restart would do everything once more. Use a time of the object, such as
`object.status.completionTime`. In conditions, and as the value of a metric, `now` is fine.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel import Path
from engine.errors import Fault
from engine.packs.lint.base import Code, Severity, Subject, place_of
from engine.packs.parse import ParsedPack

_WRITTEN = {
    "annotate": ("annotations",), "label": ("labels",), "patch": ("patch",), "apply": ("manifest",),
    "emitEvent": ("reason", "message", "labels"),
}  # fmt: skip


def check(subject: Subject) -> Iterator[Fault]:
    """Each expression that is written, or is part of a key, and reads `now`, itself or through vars."""
    for parsed in subject.packs:
        for expression in parsed.expressions:
            what = _written(expression.path)
            if not what:
                continue
            through = _through(parsed, expression.path, expression.program.variables, expression.program.reads)
            if through:
                found = expression.program.source.find(through)
                message = f"{through} is part of {what}, which differs at every look"
                yield Fault(place_of(parsed, expression, max(found, 0)), message, "a time of the object", CODE.name)


def _written(path: Path) -> str:
    """What an expression at a path becomes part of, '' where it is only looked at."""
    match path:
        case ("spec", "rules", _, ("oncePer" | "loopKey") as key):
            return f"the key that {key} gives"
        case ("spec", "rules", _, "actions" | "rescue", _, str(action), str(part), *_) if part in _WRITTEN.get(action, ()):
            return f"what {action} writes"
    return ""


def _through(parsed: ParsedPack, path: Path, variables: frozenset[str], reads: frozenset[tuple[str, ...]]) -> str:
    if "now" in variables:
        return "now"
    programs = parsed.pack.rules[int(path[2])].vars
    ways = [(f"vars.{read[1]}", read[1]) for read in sorted(reads) if read[0] == "vars" and len(read) > 1]
    seen: set[str] = set()
    while ways:
        first, name = ways.pop()
        if name in seen or name not in programs:
            continue
        seen.add(name)
        if "now" in programs[name].variables:
            return first
        ways += [(first, read[1]) for read in programs[name].reads if read[0] == "vars" and len(read) > 1]
    return ""


CODE = Code("now-written", Severity.ERROR, __doc__, check)
