"""Where packs, feature flags and parameters come from: the folders of the settings, and ConfigMaps of the operator's namespace.

They are read again after each change, and in force within two seconds. Each ConfigMap with packs gets a status annotation, and
those of flags and parameters do where something is wrong.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from engine.cel import Backend
from engine.kube.act import Actor
from engine.kube.api import Api
from engine.kube.clock import Clock, within
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, Ref, annotations_of, dig, ref_of
from engine.operator.discoveries import Discoveries
from engine.operator.informer import Informer
from engine.operator.own_objects import OwnObjects
from engine.operator.rulelibraries import RuleLibraryStatuses
from engine.operator.rulepacks import RulePackStatuses, references
from engine.operator.selection import InformerKey
from engine.operator.settings import Settings
from engine.operator.statuses import STATUS, Status, Statuses
from engine.operator.store import OnChange
from engine.operator.type_checks import TypeChecks
from engine.packs.catalog import Catalog
from engine.packs.conditions import INVALID, awaiting, verdict
from engine.packs.library import KIND as LIBRARY
from engine.packs.modes import ModeSetting
from engine.packs.pack import RESUME
from engine.packs.parse import LARGE
from engine.packs.rbac import RULE_LIBRARY, RULE_PACK
from engine.packs.sources import OwnObject, Text, load_folder, shipped_rules
from engine.packs.store import PackStore
from engine.packs.versions import Report
from engine.reconcile.prune import pruner

log = logging.getLogger(__name__)

CONFIG_MAP = Kind("v1", "ConfigMap")
PACK_SELECTOR = "rules.mlops.dev/rule-pack=true"
FLAGS, PARAMS = "rulepack-feature-flags", "rulepack-params"
STATUS_INTERVAL = 10.0
"""Seconds after which statuses are brought up to date, whatever else happens: those that could not be written are tried again."""
WARNED = "in force, with warnings:"
"""How the status of a ConfigMap begins whose packs are in force, and may not be what is meant."""
DEBOUNCE = 0.2
"""Seconds to wait for further changes: `kubectl apply` changes several ConfigMaps at once."""


class PackSources:
    """Gives `use` a new catalog whenever one is to be in force; `in_force` is set once the first one is.

    `waits_of` says of a pack what it waits for. Raises UsageError where there are no packs in the folders of the settings.
    """

    def __init__(
        self, api: Api, settings: Settings, clock: Clock, cel: Backend, may_act: Callable[[], bool],
        use: Callable[[Catalog], Awaitable[None]], rulepacks: RulePackStatuses,
    ) -> None:  # fmt: skip
        def informer(labels: str = "", fields: str = "", changed: OnChange = lambda *_: self.touch()) -> Informer:
            key = InformerKey(CONFIG_MAP, settings.operator_namespace, labels, fields)
            return Informer(api, key, clock, pruner([("data",)]), changed)

        self._namespace = settings.operator_namespace
        self.reports: Sequence[Report] = ()
        self.in_force = asyncio.Event()
        self._changed = asyncio.Event()
        self._packs = informer(labels=PACK_SELECTOR, changed=self._pack_changed)
        self._left: dict[str, Ref] = {}  # by uid, the ConfigMaps that are selected no more, which may have a status
        self._flags, self._params = (informer(fields=f"metadata.name={name}") for name in (FLAGS, PARAMS))
        self._objects, self._rulepacks = OwnObjects(api, settings, clock, RULE_PACK, self.touch), rulepacks
        self._objects.own.on_listed = self.touch
        self._libraries = OwnObjects(api, settings, clock, RULE_LIBRARY, self.touch)
        self.informers = (self._packs, self._flags, self._params, self._objects.own, self._libraries.own)
        self._clock, self._use, self._may_act, self._dry_run = clock, use, may_act, settings.dry_run
        given = settings.rules != (shipped_rules(),)
        self._only = given and settings.dry_run  # people ask what these texts would do, not what the cluster's do
        self._store = PackStore(cel, settings.flags, some=given)
        self._used = self._store.catalog  # the last one that was given to `use`
        self._folders = ", ".join(map(str, settings.rules))
        self._shipped = load_folder(settings.rules)
        self.discoveries = Discoveries(api, clock, self.touch)
        self._types = TypeChecks(api, clock, cel, may_act, self.touch)
        self._statuses = Statuses(Actor(api, may_act), clock)
        self._library_statuses = RuleLibraryStatuses(Actor(api, may_act), clock, self._libraries)
        self._logged: set[str] = set()

    @property
    def read(self) -> Sequence[Text | OwnObject]:
        """The texts and objects that were read last, as they were then."""
        return [*self._store.read, *self._store.objects]

    def last_good(self) -> Mapping[str, Mapping[str, Any]]:
        """Return by file the last good texts of what is refused, which no object of the cluster has."""
        return self._store.last_good()

    @property
    def mode_settings(self) -> Mapping[str, Sequence[ModeSetting]]:
        """What gives each pack its mode, by the pack's identity."""
        return self._store.settings

    @property
    def has_flags(self) -> bool:
        """Whether there is a ConfigMap with feature flags."""
        return bool(self._flags.store.objects)

    def touch(self) -> None:
        """Read everything again soon."""
        self._changed.set()

    def _pack_changed(self, _namespace: str, _name: str, old: Object | None, new: Object | None, _initial: bool) -> None:
        """Read everything again; note a ConfigMap that is deleted or has lost its label: its status is about nothing then."""
        if new is None and old is not None:
            self._left[ref_of(old).uid] = ref_of(old)
        self.touch()

    def _all_informers(self) -> Iterator[Informer]:
        """Yield those that must be listed before anything is in force, and those of objects that only get a status."""
        yield from (*self.informers, *self._objects.elsewhere, *self._libraries.elsewhere)

    async def run(self) -> None:
        """Run until cancelled."""
        if self._only:
            log.info(
                "a dry run of %s: RulePacks and ConfigMaps of namespace %s with packs are left out",
                self._folders,
                self._namespace,
            )
        for informer in self._all_informers():
            informer.start()
        await asyncio.gather(*(informer.answered.wait() for informer in self.informers))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rulepacks.run())
            group.create_task(self._types.run())
            group.create_task(self._read_changes())

    async def _read_changes(self) -> None:
        while True:
            self._changed.clear()
            await self._read()
            await self._write_statuses()
            while not await within(self._clock, STATUS_INTERVAL, self._changed.wait()):
                await self._write_statuses()
            await self._clock.sleep(DEBOUNCE)

    async def stop(self) -> None:
        """Stop the informers."""
        await self.discoveries.stop()
        await asyncio.gather(*(informer.stop() for informer in self._all_informers()))

    async def _read(self) -> None:
        try:
            reports = self._types.added(await self._update())
            catalog, faults = await self.discoveries.apply(self._store.catalog)
            self.reports = [*reports[:-1], replace(reports[-1], warnings=(*reports[-1].warnings, *faults))]
            self._log_news()
            if catalog is not self._used or not self.in_force.is_set():
                await self._use(_audited(catalog) if self._dry_run else catalog)
                self._used = catalog
                self.in_force.set()
            wanted = references(catalog, self._store.shipped, self._config_maps(), self._namespace)
            typed = self._types.checked
            self._rulepacks.use(self._objects, self._store.read, self.reports, catalog, wanted, typed=typed)
            self._types.use(self._store.read, self._store.libraries)
        except Exception as error:  # whatever a text holds, what is in force goes on
            log.error("unexpected %s: %s; a bug in rulepack, packs stay as they are", type(error).__name__, error)
            log.debug("reading rule packs", exc_info=True)

    async def _update(self) -> Sequence[Report]:
        """Parse what has changed; where that is much, beside the event loop, which must renew the Lease meanwhile."""
        maps, params = self._config_maps(), _first(self._params)
        resume = annotations_of(params).get(RESUME, "")
        objects = [*([] if self._only else self._objects.objects()), *self._libraries.objects()]
        flags, served = _data(_first(self._flags)), self._objects.own.synced.is_set()
        update = partial(self._store.update, self._shipped, maps, flags, _data(params), resume, objects, served=served)
        texts = [text for config_map in maps for text in _data(config_map).values()]
        library = any(LIBRARY in text for text in texts) or self._libraries.own.store.objects
        size = sum(len(text.text) for text in self._shipped) if library else 0  # shipped packs may use it
        size += sum(map(len, texts))
        size += sum(len(str(each.get("spec"))) for each in objects)
        return await asyncio.to_thread(update) if size > LARGE else update()

    def _config_maps(self) -> list[Object]:
        """Return the ConfigMaps that hold rule packs, by name; none where only the texts of the settings count."""
        return [] if self._only else [cached.object for _, cached in sorted(self._packs.store.objects.items())]

    def _log_news(self) -> None:
        """Log each fault and warning when it appears."""
        now = {str(fault): logging.ERROR for report in self.reports for fault in report.faults}
        now.update({str(warning): logging.WARNING for report in self.reports for warning in report.warnings})
        for text, level in now.items():
            if text not in self._logged:
                log.log(level, "%s", text)
        self._logged = set(now)

    async def _write_statuses(self) -> None:
        """Write on each ConfigMap that is read what is wrong with it, or with the packs that it holds."""
        if self._dry_run or not self._may_act():
            self._left.clear()
            return
        reports = {report.source: report for report in self.reports}
        statuses = []
        for config_map in self._config_maps():
            ref = ref_of(config_map)
            report = reports.get(f"configmap/{ref.namespace}/{ref.name}") or Report("")
            waits = [line for pack in report.packs for line in self._rulepacks.waits_of(pack)]
            waits = [*filter(None, [awaiting(report.faults)]), *waits]
            reason = "RulePackInvalid" if verdict(report.faults) == INVALID else "RulePackWaiting"
            problems = [*map(str, report.faults), *waits]
            notes = [*map(str, report.warnings), *(line for pack in report.packs for line in self._rulepacks.notes_of(pack))]
            if notes and not report.faults:
                problems = [*waits, "with warnings:" if waits else WARNED, *notes]
                reason = reason if waits else "RulePackWarnings"
            warned = annotations_of(config_map).get(STATUS, "").startswith(WARNED)
            if self._types.checked or problems or not warned:  # else it is likely to be warned of again
                statuses.append(Status(config_map, problems, reason))
        for informer, name in ((self._flags, FLAGS), (self._params, PARAMS)):
            source = f"configmap/{name}"
            report = reports.get(source) or Report(source)
            found = [fault for fault in (*report.faults, *report.warnings) if fault.location.file.startswith(source)]
            if config_map := _first(informer):
                statuses.append(Status(config_map, [str(fault) for fault in found], "SettingsInvalid", says_ok=False))
        for config_map in self._config_maps():
            self._left.pop(ref_of(config_map).uid, None)
        await self._statuses.write(statuses, self._left)
        await self._library_statuses.write(self._store, reports)


def _first(informer: Informer) -> Object:
    """Return the one object that an informer holds, or an empty mapping."""
    return next((cached.object for cached in informer.store.objects.values()), {})


def _data(config_map: Object) -> Mapping[str, str]:
    data: Mapping[str, str] = dig(config_map, ("data",), {})
    return data


def _audited(catalog: Catalog) -> Catalog:
    """Return the same catalog with nothing enforced."""
    return replace(catalog, modes={name: Mode.OFF if mode is Mode.OFF else Mode.AUDIT for name, mode in catalog.modes.items()})
