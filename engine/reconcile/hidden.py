"""Texts about rules that read Secrets, without what an expression, a template, the API server or a policy has put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from secrets import token_bytes

from engine.model.objects import GROUP, GroupKey, ObjectKey
from engine.model.observe import Act, Observer
from engine.model.outcome import Done, Outcome, Unavailable, Waiting
from engine.model.send import HIDDEN, Send
from engine.model.text import Quoting, plain
from engine.packs.catalog import Catalog
from engine.reconcile.matching import Evaluation

WHY = "hidden, since the rule reads a Secret and the text may quote it"
_SALT = token_bytes(16)
"""Of this process, so that nobody can find out by trying which key of a group is meant."""


def without_secrets(hides: bool, text: str, instead: str = "") -> str:
    """Return a text; where it `hides`, only as much of it as quotes no object, or `instead` of it, and why."""
    said = text.plain if isinstance(text, Quoting) else instead
    if not (hides and text) or said == text:
        return text
    return plain(f"{said}: {WHY}" if said else WHY)


def outcome_without_secrets(hides: bool, outcome: Outcome) -> Outcome:
    """Return an outcome with such a reason; what stands in the way is said in a word."""
    if not hides or isinstance(outcome, Done):
        return outcome
    instead = outcome.obstacle.value if isinstance(outcome, Waiting | Unavailable) else ""
    return outcome._replace(reason=without_secrets(hides, outcome.reason, instead))


def named(hides: bool, key: ObjectKey | GroupKey) -> ObjectKey | GroupKey:
    """Return a key for people; one of a group that `hides` has a word in its place, the same as long as the process runs."""
    return key._replace(group=_word(key.group)) if isinstance(key, GroupKey) and hides else key


def any_hides(evaluations: Sequence[Evaluation]) -> bool:
    """Return whether a rule that reads Secrets wants something written on the object, in one request with all others."""
    own = any(each.hides(own.rule) or (own.act and own.act.hides) for each in evaluations for own in each.own)
    return own or any(each.hides(rule) for each in evaluations for rule in each.timers)


class WithoutSecrets:
    """Passes on what rules did, without what may quote a Secret; all else reaches the observer as it is."""

    def __init__(self, observer: Observer, catalog: Callable[[], Catalog]) -> None:
        self._observer, self._catalog = observer, catalog
        self.evaluated, self.measured = observer.evaluated, observer.measured
        self.suspended, self.contested = observer.suspended, observer.contested

    def acted(self, act: Act) -> None:
        """Pass it on; of a rule that is gone nobody knows what it has read."""
        pack = self._catalog().packs.get(act.pack)
        self._observer.acted(_hidden(act) if act.hides or pack is None or act.rule in pack.reads_secrets else act)


def _hidden(act: Act) -> Act:
    sends = isinstance(act.step, Send)
    return act._replace(
        object=act.object._replace(name=_word(act.object.name)) if act.object.kind == GROUP else act.object,
        step=act.step._replace(hidden=True) if isinstance(act.step, Send) else act.step,
        detail=without_secrets(True, act.detail),
        # that there is a difference is said all the same
        diff=tuple(dict.fromkeys(line if line.endswith(f": {HIDDEN}") and not sends else HIDDEN for line in act.diff)),
    )


def _word(group: str) -> str:
    return f"(hidden {blake2b(group.encode(errors='replace'), key=_SALT, digest_size=4).hexdigest()})"
