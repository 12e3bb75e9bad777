"""Follows the objects of the cluster that give params their values (`discover`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Set

from engine.errors import Fault
from engine.kube.api import Api
from engine.kube.clock import Clock, within
from engine.model.objects import Object
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey
from engine.packs.catalog import Catalog
from engine.packs.discovery import discovered, discoveries
from engine.packs.pack import Discovery
from engine.reconcile.prune import pruner

ANSWER = 5.0
"""Seconds for which a new list is waited for; what cannot be listed must hold up no pack, whose params have defaults."""


class Discoveries:
    """Keeps an informer for each selection that a pack in force discovers a param by; `changed` is called when one has news."""

    def __init__(self, api: Api, clock: Clock, changed: Callable[[], None]) -> None:
        self._api, self._clock, self._changed = api, clock, changed
        self._informers: dict[InformerKey, Informer] = {}
        self._given, self._result = Catalog(), Catalog()

    @property
    def informers(self) -> Collection[Informer]:
        """Return the informers."""
        return self._informers.values()

    async def apply(self, catalog: Catalog) -> tuple[Catalog, list[Fault]]:
        """Return a catalog with the values that the cluster gives, and what is wrong with those that it cannot give.

        It is the same as the last one where neither the given catalog nor a value differs.
        """
        await self._use({_key(discovery) for discovery in discoveries(catalog)})
        result, faults = discovered(catalog, self._objects)
        if catalog is not self._given or result.params != self._result.params:
            self._given, self._result = catalog, result
        return self._result, faults

    async def stop(self) -> None:
        """Stop the informers."""
        await self._use(set())

    async def _use(self, keys: Set[InformerKey]) -> None:
        for key in self._informers.keys() - keys:
            await self._informers.pop(key).stop()
        new = []
        for key in sorted(keys - self._informers.keys()):
            informer = self._informers[key] = Informer(self._api, key, self._clock, pruner(None), lambda *_: self._changed())
            informer.start()
            new.append(informer)
        if new:
            await within(self._clock, ANSWER, asyncio.gather(*(informer.answered.wait() for informer in new)))

    def _objects(self, discovery: Discovery) -> Collection[Object]:
        informer = self._informers.get(_key(discovery))
        return [cached.object for cached in informer.store.objects.values()] if informer else ()


def _key(discovery: Discovery) -> InformerKey:
    return InformerKey(discovery.kind, "", discovery.labels, discovery.fields)
