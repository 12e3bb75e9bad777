"""Packs, feature flags and parameters as they are now: read again after each change, in force within two seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from engine.cel import Cel
from engine.errors import ApiError
from engine.kube.act import Actor, NotLeading
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import dig, ref_of
from engine.operator.backoff import within
from engine.operator.configmaps import ConfigMaps
from engine.operator.settings import Settings
from engine.operator.status import report_status
from engine.packs.catalog import Catalog
from engine.packs.sources import load_folder
from engine.packs.store import PackStore, Report

log = logging.getLogger(__name__)

DEBOUNCE = 0.2
"""Seconds to wait for further changes: `kubectl apply` changes several ConfigMaps at once."""
LARGE = 50_000
"""Characters of rule packs in ConfigMaps that take about half a second to compile."""
STATUS_RETRY = 10.0
"""Seconds before statuses that could not be written are tried again."""


class LivePacks:
    """Gives `use` a new catalog whenever one is to be in force; `in_force` is set once the first one is.

    Raises UsageError where there are no packs in the folders of the settings.
    """

    def __init__(
        self,
        api: Api,
        settings: Settings,
        clock: Clock,
        cel: Cel,
        may_act: Callable[[], bool],
        use: Callable[[Catalog], Awaitable[None]],
    ) -> None:
        self.reports: Sequence[Report] = ()
        self.in_force = asyncio.Event()
        self._changed = asyncio.Event()
        self.config_maps = ConfigMaps(api, clock, settings.operator_namespace, self.touch)
        self._clock, self._use, self._may_act, self._dry_run = clock, use, may_act, settings.dry_run
        self._store = PackStore(cel, settings.flags)
        self._shipped = load_folder(settings.rules)
        self._actor = Actor(api, may_act)
        self._told: set[str] = set()
        self._unwritten: set[str] = set()

    def touch(self) -> None:
        """Look again soon."""
        self._changed.set()

    async def run(self) -> None:
        """Run until cancelled."""
        await self.config_maps.start()
        while True:
            self._changed.clear()
            await self._read()
            if await self._write_statuses():
                await self._changed.wait()
            else:
                await within(self._clock, STATUS_RETRY, self._changed.wait())
            await self._clock.sleep(DEBOUNCE)

    async def _read(self) -> None:
        try:
            self.reports = await self._update()
            self._log_news()
            await self._use(_audited(self._store.catalog) if self._dry_run else self._store.catalog)
            self.in_force.set()
        except Exception as error:  # whatever a text holds, what is in force goes on
            log.error("unexpected %s: %s; a bug in rulepack, packs stay as they are", type(error).__name__, error)
            log.debug("reading rule packs", exc_info=True)

    async def _update(self) -> Sequence[Report]:
        """Parse what has changed; where that is much, beside the event loop, which must renew the Lease meanwhile."""
        maps = self.config_maps
        update = partial(self._store.update, self._shipped, maps.packs, maps.flags, maps.params, maps.resume)
        size = sum(len(text) for config_map in maps.packs for text in dig(config_map, ("data",), {}).values())
        return await asyncio.to_thread(update) if size > LARGE else update()

    def _log_news(self) -> None:
        """Log each fault and warning when it appears."""
        now = {str(fault): logging.ERROR for report in self.reports for fault in report.faults}
        now.update({str(warning): logging.WARNING for report in self.reports for warning in report.warnings})
        for text, level in now.items():
            if text not in self._told:
                log.log(level, "%s", text)
        self._told = set(now)

    async def _write_statuses(self) -> bool:
        """Tell on each ConfigMap with packs whether they are in force; False where that has to be tried again."""
        if self._dry_run or not self._may_act():
            return True
        faults = {report.source: [str(fault) for fault in report.faults] for report in self.reports}
        problems: set[str] = set()
        for config_map in self.config_maps.packs:
            ref = ref_of(config_map)
            try:
                source = f"configmap/{ref.namespace}/{ref.name}"
                await report_status(self._actor, config_map, faults.get(source, ()), self._clock.time())
            except ApiError as error:
                problems.add(f"{ref}: its rule packs are read, but their status cannot be written on it: {error}")
            except NotLeading:
                return True
        for problem in sorted(problems - self._unwritten):  # a line when it begins, not one for each attempt
            log.warning("%s", problem)
        self._unwritten = problems
        return not problems


def _audited(catalog: Catalog) -> Catalog:
    """The same catalog with nothing enforced."""
    return replace(catalog, modes={name: Mode.OFF if mode is Mode.OFF else Mode.AUDIT for name, mode in catalog.modes.items()})
