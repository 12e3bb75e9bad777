"""The ConfigMaps of the operator's namespace: rule packs, feature flags and parameters, as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Object, annotations_of, dig
from engine.operator.backoff import cancel
from engine.operator.informer import Informer, InformerKey
from engine.packs.pack import RESUME
from engine.reconcile.prune import pruner

CONFIG_MAP = Kind("v1", "ConfigMap")
PACK_SELECTOR = "rules.mlops.dev/rule-pack=true"
FLAGS, PARAMS = "rulepack-feature-flags", "rulepack-params"


class ConfigMaps:
    """Three informers; `changed` is called after each difference."""

    def __init__(self, api: Api, clock: Clock, namespace: str, changed: Callable[[], None]) -> None:
        def informer(labels: str = "", fields: str = "") -> Informer:
            key = InformerKey(CONFIG_MAP, namespace, labels, fields)
            return Informer(api, key, clock, pruner([("data",)]), lambda *_: changed())

        self._namespace = namespace
        self._packs = informer(labels=PACK_SELECTOR)
        self._flags, self._params = (informer(fields=f"metadata.name={name}") for name in (FLAGS, PARAMS))
        self.informers = (self._packs, self._flags, self._params)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start the informers and return when all have been listed once."""
        self._tasks = [asyncio.create_task(informer.run(), name=f"informer {informer.key}") for informer in self.informers]
        await asyncio.gather(*(informer.synced.wait() for informer in self.informers))

    async def stop(self) -> None:
        """Stop the informers."""
        await cancel(*self._tasks)

    def ended(self) -> list[str]:
        """What informers have ended, which none ever should."""
        return [task.get_name() for task in self._tasks if task.done()]

    @property
    def packs(self) -> list[Object]:
        """The ConfigMaps that hold rule packs, by name."""
        return [cached.object for _, cached in sorted(self._packs.cache.items())]

    @property
    def flags(self) -> Mapping[str, str]:
        """The feature flags as written, by pack."""
        return self._data(self._flags, FLAGS)

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters as written, YAML texts by pack."""
        return self._data(self._params, PARAMS)

    @property
    def resume(self) -> str:
        """What was last said to have suspended rules go on: an annotation beside the parameters, '' where there is none."""
        found = self._params.cache.get((self._namespace, PARAMS))
        return annotations_of(found.object).get(RESUME, "") if found else ""

    def _data(self, informer: Informer, name: str) -> Mapping[str, str]:
        found = informer.cache.get((self._namespace, name))
        data: Mapping[str, str] = dig(found.object, ("data",), {}) if found else {}
        return data
