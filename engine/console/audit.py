"""What packs in Audit would have done, by pack and rule, and how they are enforced, as plain data for the page Audit."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

from engine.console import render
from engine.console.content import Content, Filter
from engine.console.firings import KEPT, Firing
from engine.console.viewer import Viewer
from engine.model.flags import Mode
from engine.model.objects import Ref
from engine.operator.pack_sources import FLAGS
from engine.operator.settings import Settings
from engine.operator.wiring import Operator
from engine.packs.modes import OPTION, ModeSetting
from engine.packs.pack import RulePack

EXAMPLES, NAMES = 3, 5
"""How many firings of a rule are shown with what they would change, and how many objects are named."""
RULES = 50
"""How many rules the page shows."""


class Audits:
    """Groups what the console remembers of firings in Audit."""

    def __init__(self, operator: Operator, content: Content, settings: Settings) -> None:
        self._operator, self._content, self._settings = operator, content, settings

    def state(self) -> object:
        """Return what is another one once the page may read otherwise."""
        operator = self._operator
        return self._content.audited, operator.reconciler.catalog, operator.packs.has_flags

    async def page(self, viewer: Viewer, only: str) -> dict[str, Any]:
        """Return what the page says, of the packs in whose names a text is; the commands for who may see the packs."""
        grouped: dict[tuple[str, str], list[Firing]] = {}
        async for firing in self._content.visible(viewer, Filter(pack=only), KEPT, mode=Mode.AUDIT):
            grouped.setdefault((firing.pack, firing.rule), []).append(firing)
        sees_packs = await viewer.sees_packs()
        packs: dict[str, dict[str, Any]] = {}
        for (pack, rule), firings in sorted(grouped.items())[:RULES]:
            self._pack(packs, pack, enforce=sees_packs)["rules"].append(await self._rule(viewer, pack, rule, firings))
        catalog = self._operator.reconciler.catalog
        for name, each in sorted(catalog.packs.items()) if sees_packs else ():
            if only.lower() in name and catalog.mode(each) is Mode.AUDIT:
                self._pack(packs, name, enforce=True)
        return {
            "packs": [each for _, each in sorted(packs.items())], "more": max(0, len(grouped) - RULES), "only": only,
            "sees_packs": sees_packs, "dry_run": self._settings.dry_run,
        }  # fmt: skip

    def _pack(self, found: dict[str, dict[str, Any]], name: str, *, enforce: bool) -> dict[str, Any]:
        there = self._operator.reconciler.catalog.packs.get(name)
        mode = None if there is None else self._operator.reconciler.catalog.mode(there)
        said = self._enforce(there) if enforce and there is not None and mode is Mode.AUDIT else []
        return found.setdefault(name, {
            "name": name, "mode": "" if mode is None else mode.word, "audits": mode is Mode.AUDIT, "enforce": said, "rules": [],
        })  # fmt: skip

    async def _rule(self, viewer: Viewer, pack: str, rule: str, firings: list[Firing]) -> dict[str, Any]:
        """Return what one rule would have done: how often, for which objects, and the newest of it."""
        catalog, objects = self._operator.reconciler.catalog, dict[Ref, None](dict.fromkeys(each.object for each in firings))
        there = catalog.packs.get(pack)
        rules = [each for each in there.rules if each.name == rule] if there else []
        shown = [render.firing(each, await self._content.hidden(viewer, each)) for each in firings[:EXAMPLES]]
        return {
            "name": rule, "count": len(firings), "objects": len(objects), "names": [str(each) for each in islice(objects, NAMES)],
            "own": any(each.mode is Mode.AUDIT for each in rules), "last": firings[0].changed, "shown": shown,
        }  # fmt: skip

    def _enforce(self, pack: RulePack) -> list[tuple[str, str]]:
        """Return for each setting that keeps a pack in Audit what to do, in words, or the command ('': there is none)."""
        settings, namespace = self._operator.packs.mode_settings.get(pack.identity, ()), self._settings.operator_namespace
        if not settings:
            return [("", self._flag(pack.feature_flag, namespace))]
        return [self._step(each, namespace) for each in settings if each.mode is not Mode.ENFORCE]

    def _step(self, setting: ModeSetting, namespace: str) -> tuple[str, str]:
        kind, _, where = setting.source.partition("/")
        if setting.source == OPTION:
            return f"{OPTION} of the operator says {setting.flag}={setting.mode.word}: take it out there", ""
        if setting.flag:
            return "", self._flag(setting.flag, namespace)
        if kind == "rulepack":
            of, _, name = where.rpartition("/")
            return "", _patch(f"rulepacks.rules.mlops.dev {name}", of, {"spec": {"mode": Mode.ENFORCE.word}})
        return f"its text in {setting.source} says mode: {setting.mode.word}: write {Mode.ENFORCE.word} there", ""

    def _flag(self, name: str, namespace: str) -> str:
        if self._operator.packs.has_flags:
            return _patch(f"configmap {FLAGS}", namespace, {"data": {name: Mode.ENFORCE.word}})
        return f"kubectl create configmap {FLAGS} -n {namespace} --from-literal={name}={Mode.ENFORCE.word}"


def _patch(what: str, namespace: str, body: dict[str, Any]) -> str:
    return f"kubectl patch {what} -n {namespace} --type=merge -p '{json.dumps(body)}'"
