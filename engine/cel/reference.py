"""What there is to say about the functions, macros and variables of expressions, for the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import MACROS

VARIABLE_TEXTS: Mapping[str, tuple[str, str]] = {
    "object": ("everywhere", "The watched object; in the actions of an `aggregate`, its target."),
    "oldObject": (
        "everywhere",
        "The object as it was when it was last evaluated; null at the first evaluation, also after a restart or a change of "
        "leader: a change that only a comparison with it shows may then be missed. What must not be missed needs `oncePer`.",
    ),
    "params": ("everywhere", "The pack's parameters."),
    "inputs": ("everywhere", "The pack's inputs, parsed; one that has faults has no value."),
    "inputErrors": ("everywhere", "What is wrong with each input; `''` where nothing is."),
    "vars": ("everywhere", "The named expressions of the rule and of its pack."),
    "flags": ("everywhere", "The mode of each pack, such as `flags['other-pack'] == 'Enforce'`."),
    "lookup": ("everywhere but in `vars` of packs without lookups", "What the rule's lookups found."),
    "now": (
        "everywhere but in what is written",
        "The time, the same throughout one evaluation. A clause of `when` that compares it once with a time is evaluated again "
        "when that time comes; any other needs `resync`.",
    ),
    "schedule": ("rules with `schedule`", "`schedule.time`: the time of the schedule for which the rule is evaluated."),
    "item": ("`loopKey`, `actions`, `rescue`, and `vars` they use", "The loop's item, under the name that `loopVar` gives."),
    "target": ("`where`, `guard`, `doneWhen`, `that`, `patch`, `consent`", "The live target of an action."),
    "group": ("`actions` of an `aggregate`, its `vars` and `throttle.urgent`", "The group's counts, lists and maxima."),
    "groupKey": ("`target`, `vars` and `actions` of an `aggregate`", "The group's key."),
    "results": ("`actions`, `rescue`", "What earlier actions registered."),
    "secrets": ("`http`", "The action's secrets, each only as a whole: `${secrets.token}`."),
    "error": ("`rescue`", "Why the actions have failed."),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A function or macro: how it is called, what it gives, an example that is true, and where it comes from."""

    calls: tuple[str, ...]
    text: str
    example: str
    origin: str


def functions() -> Iterator[Entry]:
    """Each function and macro, by name; operators are none."""
    rows = [(one.name, Entry(tuple(each.signature.text(one.name) for each in one.overloads), one.text, one.example, one.origin))
            for name in FUNCTIONS for one in FUNCTIONS[name] if name[0].isalpha()]  # fmt: skip
    rows += [(each.name, Entry((each.usage,), each.text, each.example, each.origin)) for each in MACROS.values()]
    for _, row in sorted(rows, key=lambda row: row[0]):
        yield row
