"""What comes of a rule, in words: whether it fires, and of one that fires whether it may, and whether that changes anything."""

from __future__ import annotations

from engine.model.observe import TIMER, Act, ActResult, Evaluated
from engine.model.plan import Patch
from engine.testing.explain import RuleExplanation

_WORDS = {Evaluated.FIRED: "fires", Evaluated.SKIPPED: "skipped", Evaluated.UNKNOWN: "has no answer"}


def verdict(rule: RuleExplanation) -> str:
    """Return the verdict in a few words, without the reason."""
    if rule.result is Evaluated.FIRED and refusal(rule):
        return "refused"
    if rule.result is Evaluated.FIRED and rule.acts and all(map(_unchanged, rule.acts)):
        return "nothing to change"
    return _WORDS[rule.result]


def refusal(rule: RuleExplanation) -> str:
    """Return why what a rule wants is refused; '' where it is not, or only some items of its loop are."""
    reasons = {act.item: act.detail for act in rule.acts if act.result is ActResult.REFUSED and act.action != TIMER}
    return next(iter(reasons.values())) if reasons and reasons.keys() == {act.item for act in rule.acts} else ""


def _unchanged(act: Act) -> bool:
    """Return whether an act leaves all as it is; Audit shows each difference that a patch makes."""
    same = act.result is ActResult.AUDITED and isinstance(act.step, Patch) and not act.diff
    return same or act.result is ActResult.UNCHANGED
