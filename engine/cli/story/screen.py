"""What the audience of a story sees: a line for each thing that happens, and a table of effects at the end."""

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

PLAIN_WIDTH = 140
"""Columns of the table where the output is not a terminal."""
LONGEST = 200
"""Characters of what is said of one step; the objects themselves hold all of it."""

_STYLES = {
    ActResult.DONE: "green",
    ActResult.AUDITED: "cyan",
    ActResult.WAITING: "yellow",
    ActResult.RETRYING: "yellow",
    ActResult.FAILED: "red",
    ActResult.REFUSED: "red",
}


@dataclass(frozen=True, slots=True)
class Verdict:
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
        self._began = clock.time()
        self._rule: tuple[str, str, Ref] | None = None
        self._told: set[tuple[str, str, Ref, str]] = set()

    def seconds(self) -> float:
        """Seconds of the story so far."""
        return self._clock.time() - self._began

    def title(self, text: str) -> None:
        """The story's title."""
        self._console.print(Text(text, "bold"))

    def say(self, text: str) -> None:
        """The narrator says something."""
        self._rule = None
        self._console.print()
        self._line(Text(text, "bold"))

    def changed(self, kind: str, name: str, text: str) -> None:
        """A watched object now shows something else."""
        self._rule = None
        self._line(Text.assemble(f"  {kind} {name}: ", (text, "blue")))

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Nothing to show: what a rule does says that it fired."""

    def measured(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Nothing to show: the step says it."""

    def suspended(self, pack: str, rule: str, obj: Ref) -> None:
        """A rule stands still."""
        self._line(Text(f"  => rule {pack}/{rule} is suspended", "red"))

    def acted(self, act: Act) -> None:
        """The engine has done something for a rule, or is held up; what was said of a rule and an object is not repeated."""
        said = _said(act)
        told = (act.pack, act.rule, act.object, said)
        if act.result is ActResult.UNCHANGED or not said or told in self._told:
            return
        self._told.add(told)
        if self._rule != told[:3]:
            self._rule = told[:3]
            self._line(Text.assemble("  => rule ", (f"{act.pack}/{act.rule}", "magenta"), f", for {act.object.name}"))
        self._line(Text(f"       {said}", _STYLES.get(act.result, "")))

    def table(self, verdicts: Sequence[Verdict]) -> None:
        """The closing table of effects, and how many of them are as they must be."""
        table = Table("", "expected", "seen")
        for verdict in verdicts:
            table.add_row(
                Text("✓", "green") if verdict.holds else Text("✗", "bold red"), Text(verdict.effect), Text(verdict.seen)
            )
        self._console.print()
        self._console.print(table)
        wrong = [verdict for verdict in verdicts if not verdict.holds]
        style = "bold red" if wrong else "bold green"
        self._console.print(Text(f"{len(verdicts) - len(wrong)} of {len(verdicts)} effects are as expected", style))
        for verdict in wrong:
            self._console.print(Text(f"not as expected: {verdict.effect}", "red"))

    def _line(self, text: Text) -> None:
        self._console.print(Text.assemble((f"{self.seconds():5.1f} s  ", "dim"), text), soft_wrap=True)


def _said(act: Act) -> str:
    """What an act comes to, in words; '' where there is nothing to say."""
    done = _described(act.step, act.diff) if act.step else ""
    text = " ".join("; ".join(part for part in (done, act.detail) if part).split())
    if text and act.result is not ActResult.DONE:
        text = f"{act.result.value}: {text}"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _described(step: Step, diff: Sequence[str]) -> str:
    match step:
        case Patch(target=target):
            return f"patch {target}" + (f": {', '.join(diff)}" if diff else "")
        case Delete(target=target, evict=evict):
            return f"{'evict' if evict else 'delete'} {target}"
        case Create(target=target, body=body):
            return f"Event {body['type']} {body['reason']}: {body['message']}" if "reason" in body else f"create {target}"
        case Measure(metric=metric, labels=labels, value=value):
            return f"metric {metric}{{{', '.join(f'{key}={label}' for key, label in labels.items())}}} {value:+g}"
        case Annotate(annotations=annotations, labels=labels):
            # what is only taken away mostly never was there
            return ", ".join(f"{key}={value}" for key, value in {**annotations, **labels}.items() if value is not None)
