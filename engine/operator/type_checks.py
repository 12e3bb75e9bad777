"""Checks the expressions of packs in force against the schemas that the cluster publishes.

What does not fit is a warning, never a reason to keep a pack out of force: a schema changes without the pack, and an expression
that can never hold does nothing (docs/decisions, 17).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from engine.cel import Backend
from engine.cel.types import DYN
from engine.errors import ApiError, Fault
from engine.kube.api import Api
from engine.kube.clock import Clock, within
from engine.kube.openapi import published, types_of
from engine.model.objects import Kind
from engine.packs.libraries import Libraries
from engine.packs.lint import kinds_of, type_faults
from engine.packs.parse import LARGE, parse_spec, parse_text
from engine.packs.sources import PackObject, Text
from engine.packs.versions import Report

T = TypeVar("T")

log = logging.getLogger(__name__)

RECHECK = 300.0
"""Seconds after which is asked again whether a schema has changed, or can be had by now."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A text or object, the libraries it was checked with, the kinds in it, where their schemas were, and what does not fit."""

    given: Text | PackObject
    libraries: Libraries
    kinds: frozenset[Kind] = frozenset()
    paths: frozenset[str] = frozenset()
    faults: tuple[Fault, ...] = ()


class TypeChecks:
    """`warnings` holds what does not fit by the pack's source, and by its text; `checked` says whether any check has ended.

    `changed` is called when one of both differs from before. Nothing is asked while `may_check` says no. A schema that cannot be
    had says nothing of its kind.
    """

    def __init__(self, api: Api, clock: Clock, cel: Backend, may_check: Callable[[], bool], changed: Callable[[], None]) -> None:
        self.warnings: Mapping[str, Sequence[Fault]] = {}
        self.checked = False
        self._api, self._clock, self._cel, self._may_check, self._changed = api, clock, cel, may_check, changed
        self._packs: Sequence[Text | PackObject] | None = None
        self._libraries = Libraries()
        self._checked: dict[str, _Checked] = {}
        self._given = asyncio.Event()
        self._failure = ""

    def use(self, given: Sequence[Text | PackObject], libraries: Libraries) -> None:
        """Check the packs of these from now on, with these libraries; those with faults of another kind are passed over."""
        self._packs, self._libraries = given, libraries
        self._given.set()

    def added(self, reports: Sequence[Report]) -> list[Report]:
        """Return the reports with what does not fit among their warnings."""
        return [
            replace(each, warnings=(*each.warnings, *self.warnings.get(each.source, ()), *self.warnings.get(each.text, ())))
            for each in reports
        ]

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._given.clear()
            if self._packs is not None and self._may_check():
                before = self.checked, self.warnings
                await self._check(self._packs)
                self.checked = True
                if before != (self.checked, self.warnings):
                    self._changed()
            await within(self._clock, RECHECK, self._given.wait())

    async def _check(self, packs: Sequence[Text | PackObject]) -> None:
        try:
            paths = await published(self._api)
            checked = {each.file: await self._check_pack(each, paths) for each in packs}
        except ApiError as error:
            self._failed(str(error))
            return
        except Exception as error:  # whatever a cluster publishes: packs go on without these warnings
            log.error("unexpected %s: %s; a bug in rulepack, types are not checked", type(error).__name__, error)
            log.debug("checking types", exc_info=True)
            return
        self._checked = checked
        warnings: dict[str, list[Fault]] = {}
        for each in checked.values():
            for name in {each.given.source, each.given.file} if each.faults else ():
                warnings.setdefault(name, []).extend(each.faults)
        self.warnings = warnings

    async def _check_pack(self, given: Text | PackObject, paths: Mapping[str, str]) -> _Checked:
        """Return what does not fit in it; what was found before, where neither that nor a schema has changed."""
        before, libraries = self._checked.get(given.file), self._libraries
        same = before is not None and before.given == given and before.libraries is libraries
        if before is not None and same and before.paths == _paths(before.kinds, paths):
            return before
        if isinstance(given, Text):
            size, parse = len(given.text), partial(parse_text, given.text, given.file, self._cel, libraries=libraries)
        elif given.reference:
            return _Checked(given, libraries)
        else:
            size, parse = len(str(given.spec)), partial(parse_spec, given, self._cel, libraries)
        packs, other_faults = await _apart(size, parse)
        if other_faults:
            return _Checked(given, libraries)
        kinds = kinds_of(packs)
        types, errors = await types_of(self._api, paths, kinds)
        self._failed(str(errors[0]) if errors else "")
        faults = await _apart(size, partial(type_faults, packs, lambda kind: types.get(kind, DYN)))
        return _Checked(given, libraries, kinds, frozenset() if errors else _paths(kinds, paths), tuple(faults))

    def _failed(self, failure: str) -> None:
        """Log once that schemas cannot be had."""
        if failure and failure != self._failure:
            log.info("the types of some expressions are not checked: %s; trying again every %d s", failure, RECHECK)
        self._failure = failure


async def _apart(size: int, work: Callable[[], T]) -> T:
    """Return what work on so many characters of packs comes to, in a thread where it would hold up the event loop."""
    return await asyncio.to_thread(work) if size > LARGE else work()


def _paths(kinds: Iterable[Kind], paths: Mapping[str, str]) -> frozenset[str]:
    """Return where the schemas of kinds are."""
    return frozenset(paths[kind.api_version] for kind in kinds if kind.api_version in paths)
