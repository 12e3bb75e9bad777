"""What a demo prints: a line for each thing that happens, and a table of effects at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.kube.clock import Clock
from engine.model.objects import Ref
from engine.model.observe import Act, ActResult, Evaluated
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Step
from engine.model.send import Send
from engine.model.text import cut

PLAIN_WIDTH = 140
"""Columns of the table where the output is not a terminal."""
LONGEST = 200
"""Characters of what is printed of one step; the objects themselves hold all of it."""

_STYLES = {
    ActResult.DONE: "green",
    ActResult.AUDITED: "cyan",
    ActResult.WAITING: "yellow",
    ActResult.RETRYING: "yellow",
    ActResult.FAILED: "red",
    ActResult.REFUSED: "red",
}


@dataclass(frozen=True, slots=True)
class Check:
    """What became of an effect: what was expected, what was seen, and whether it is as it must be."""

    effect: str
    seen: str
    holds: bool


class Screen:
    """Writes lines in the order in which things happen; an observer of the engine (engine.model.observe.Observer).

    Colours only on a terminal, and never where NO_COLOR is set (no-color.org). The cursor never goes back, so that the
    same text can be read in a log.
    """

    def __init__(self, clock: Clock, file: TextIO) -> None:
        plain = not file.isatty() or bool(os.environ.get("NO_COLOR"))
        self._console = Console(
            file=file, force_terminal=False if plain else None, color_system=None if plain else "auto",
            width=None if file.isatty() else PLAIN_WIDTH, highlight=False,
        )  # fmt: skip
        self._clock = clock
        self._began = clock.monotonic()
        self._rule: tuple[str, str, Ref] | None = None
        self._printed: set[tuple[str, str, Ref, str]] = set()

    def seconds(self) -> float:
        """Return the seconds of the demo so far."""
        return self._clock.monotonic() - self._began

    def title(self, text: str) -> None:
        """Print the demo's title."""
        self._console.print(Text(text, "bold"))

    def say(self, text: str) -> None:
        """Print what happens next."""
        self._rule = None
        self._console.print()
        self._line(Text(text, "bold"))

    def changed(self, kind: str, name: str, text: str) -> None:
        """Print what a watched object now shows."""
        self._rule = None
        self._line(Text.assemble(f"  {kind} {name}: ", (text, "blue")))

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Print nothing: what a rule does says that it fired."""

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Print nothing: the step says it."""

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Print that a pack is suspended for a namespace."""
        self._line(Text(f"  => pack {pack} is suspended for {flow}", "red"))

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Print that a rule waits with a write."""
        self._line(Text(f"  => rule {pack}/{rule} waits: somebody else undoes what it writes on {target}", "red"))

    def acted(self, act: Act) -> None:
        """Print what the engine has done for a rule, or waits for; what was printed of a rule and an object is not repeated."""
        text = _described(act)
        entry = (act.pack, act.rule, act.object, text)
        if act.result is ActResult.UNCHANGED or not text or entry in self._printed:
            return
        self._printed.add(entry)
        if self._rule != entry[:3]:
            self._rule = entry[:3]
            self._line(Text.assemble("  => rule ", (f"{act.pack}/{act.rule}", "magenta"), f", for {act.object.name}"))
        self._line(Text(f"       {text}", _STYLES.get(act.result, "")))

    def table(self, checks: Sequence[Check]) -> None:
        """Print the table of effects, and how many of them are as they must be."""
        table = Table("", "expected", "seen")
        for check in checks:
            table.add_row(Text("✓", "green") if check.holds else Text("✗", "bold red"), Text(check.effect), Text(check.seen))
        self._console.print()
        self._console.print(table)
        wrong = [check for check in checks if not check.holds]
        style = "bold red" if wrong else "bold green"
        self._console.print(Text(f"{len(checks) - len(wrong)} of {len(checks)} effects are as expected", style))
        for check in wrong:
            self._console.print(Text(f"not as expected: {check.effect}", "red"))

    def _line(self, text: Text) -> None:
        self._console.print(Text.assemble((f"{self.seconds():5.1f} s  ", "dim"), text), soft_wrap=True)


class Failures:
    """An observer of the engine that simulates controllers: has a screen print what it cannot do, and nothing else."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Print nothing."""

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Print nothing."""

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Print that a pack is suspended for a namespace."""
        self._screen.suspended(pack, flow, obj)

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Print that a rule waits with a write."""
        self._screen.contested(pack, rule, target)

    def acted(self, act: Act) -> None:
        """Print what failed, was refused or is tried again."""
        if act.result in (ActResult.FAILED, ActResult.REFUSED, ActResult.RETRYING):
            self._screen.acted(act)


def _described(act: Act) -> str:
    """Return what an act comes to, in words; '' where there is nothing to say."""
    done = _step(act.step, act.diff) if act.step else ""
    text = " ".join("; ".join(part for part in (done, act.detail) if part).split())
    if text and act.result is not ActResult.DONE:
        text = f"{act.result.value}: {text}"
    return cut(text, LONGEST)


def _step(step: Step, diff: Sequence[str]) -> str:
    match step:
        case Patch(target=target):
            return f"patch {target}" + (f": {', '.join(diff)}" if diff else "")
        case Delete(target=target, evict=evict):
            return f"{'evict' if evict else 'delete'} {target}"
        case Create(target=target, body=body):
            return f"Event {body['type']} {body['reason']}: {body['message']}" if "reason" in body else f"create {target}"
        case Measure(metric=metric, labels=labels, value=value):
            return f"metric {metric}{{{', '.join(f'{key}={label}' for key, label in labels.items())}}} {value:+g}"
        case Send():
            return str(step)
        case Annotate(annotations=annotations, labels=labels):
            # what is only taken away mostly never was there
            return ", ".join(f"{key}={value}" for key, value in {**annotations, **labels}.items() if value is not None)
