"""`rulepack replay`: what rule packs would have done with recorded changes, or how two versions of them differ in that."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from engine.cel import backend
from engine.cli.arguments import check_flags, flags_option, format_option, paths_option, read_packs
from engine.cli.findings import say
from engine.errors import UsageError
from engine.model.flags import Mode
from engine.operator.settings import parse_flags
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.testing.recording import Change, read_recording
from engine.testing.replay import Effect, Replay
from engine.testing.run import quiet

EXAMPLES = """\b
Examples:
  rulepack replay changes.jsonl --rules my-rules
  rulepack replay changes.jsonl --old rules --new my-rules     exits with 1 where they differ
"""

Rules = tuple[Path, ...]


@click.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@paths_option("--rules", "Packs to replay; may be repeated.")
@paths_option("--old", "With --new: the packs as they are.")
@paths_option("--new", "With --old: the packs as they shall be.")
@flags_option
@format_option("text", "json")
def replay(file: Path, rules: Rules, old: Rules, new: Rules, feature_flags: tuple[str, ...], style: str) -> int:
    """Play the changes of FILE, a recording, through rule packs, with the clock of the recording.

    Says what the rules would have done. With --old and --new only what differs is shown, and the exit status is 1 where
    anything does. Objects that were not recorded count as not there. The same recording always gives the same answer.
    """
    if bool(old) != bool(new) or bool(old) == bool(rules):
        raise UsageError("expected either --rules, or both --old and --new")
    flags = parse_flags(feature_flags)
    cel = backend()
    before, after = (read_packs(paths, cel) if paths else [] for paths in (old, new or rules))
    check_flags(flags, {pack.feature_flag for pack in (*before, *after)})
    changes = list(read_recording(file))
    if not changes:
        raise UsageError(f"{file} holds no changes; expected a recording of `rulepack record`")
    effects = _effects(changes, after, flags)
    return _report(changes, effects, _effects(changes, before, flags) if old else [], style, compared=bool(old))


def _effects(changes: Sequence[Change], packs: Sequence[RulePack], flags: Mapping[str, Mode]) -> list[Effect]:
    modes = {pack.identity: flags.get(pack.feature_flag, pack.default_mode) for pack in packs}
    run = Replay(Catalog.of({pack.identity: pack for pack in packs}, modes))
    with quiet():
        asyncio.run(run.play(changes))
    return run.effects


def _report(changes: Sequence[Change], new: list[Effect], old: list[Effect], style: str, *, compared: bool) -> int:
    added, gone = (_without(new, old), _without(old, new)) if compared else (new, [])
    if style == "json":
        names = ("added", "removed") if compared else ("effects", "removed")
        body = {"changes": len(changes), names[0]: [asdict(effect) for effect in added]}
        body |= {names[1]: [asdict(effect) for effect in gone]} if compared else {}
        click.echo(json.dumps(body, indent=2, ensure_ascii=False))
    else:
        marked = [(effect.time, "+ " if compared else "", effect) for effect in added] + [
            (each.time, "- ", each) for each in gone
        ]
        for _, mark, effect in sorted(marked, key=lambda entry: entry[0]):
            for line in _lines(mark, effect):
                say(line) if compared else click.echo(line)
        same = f", {len(new) - len(added)} the same" if compared else ""
        found = f"{len(added)} added, {len(gone)} removed" if compared else f"{len(added)} effects"
        click.echo(f"{len(changes)} changes: {found}{same}")
    return 1 if compared and (added or gone) else 0


def _without(effects: Sequence[Effect], others: Sequence[Effect]) -> list[Effect]:
    """Return those effects that the others do not have, each as often as it is there more often."""
    left = Counter(effect.identity for effect in others)
    found = []
    for effect in effects:
        if left[effect.identity] > 0:
            left[effect.identity] -= 1
        else:
            found.append(effect)
    return found


def _lines(mark: str, effect: Effect) -> Iterator[str]:
    time = datetime.fromtimestamp(effect.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = f" [{effect.item}]" if effect.item else ""
    first, *rest = effect.what.split("\n")
    yield f"{mark}{time} {effect.object} {effect.rule}{item}: {effect.action} {effect.outcome}: {first}"
    yield from (f"{mark}{line}" for line in rest)
