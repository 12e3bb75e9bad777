"""The fixtures of a demo: what is put on a cluster for it, and taken away after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from engine.errors import ApiError, RulepackError, UsageError
from engine.kube.api import Api
from engine.model.objects import Kind, Object, dig, kind_of, metadata

NAMESPACE = Kind("v1", "Namespace")
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
TRIES, PAUSE = 50, 0.2
"""How often, and after how many seconds each, what follows from another object by itself is read again."""


class Fixtures:
    """Puts objects on a cluster, and takes away again what it has put there itself. All methods raise ApiError."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._definitions: list[str] = []
        self._namespaces: list[str] = []

    async def define(self, definitions: Sequence[Object], *, install: bool) -> None:
        """Make the cluster serve these kinds.

        One that it does not serve is created for the time of the demo, if `install` says so; else UsageError is raised.
        """
        missing = [each for each in definitions if not await self._served(_defined(each))]
        if missing and not install:
            kinds = ", ".join(str(_defined(each)) for each in missing)
            raise UsageError(
                f"the cluster does not serve {kinds}; install what defines them, or give --install-crds, which puts small "
                "stand-ins there and removes them afterwards"
            )
        for definition in missing:
            await self.create(definition)
            self._definitions.append(metadata(definition)["name"])
        for definition in missing:
            await self._until_served(_defined(definition))

    async def namespace(self, name: str) -> None:
        """Create a namespace."""
        await self.create({"apiVersion": NAMESPACE.api_version, "kind": NAMESPACE.kind, "metadata": {"name": name}})
        self._namespaces.append(name)

    async def create(self, obj: Object) -> None:
        """Create an object of any kind."""
        resource = await self._api.discover(kind_of(obj))
        for _ in range(TRIES):
            try:
                await self._api.create(resource, metadata(obj).get("namespace", ""), obj)
                return
            except ApiError as error:
                # pods are refused until a controller has given their namespace its service account `default`
                if error.status != HTTPStatus.FORBIDDEN or "serviceaccount" not in error.message:
                    raise
                refused = error
            await asyncio.sleep(PAUSE)
        raise refused

    async def patch(self, kind: Kind, namespace: str, name: str, body: Any, subresource: str) -> None:
        """Change an object by a merge patch."""
        resource = await self._api.discover(kind)
        await self._api.patch(resource, namespace, name, body, subresource=subresource)

    async def clean_up(self) -> None:
        """Take away what was put there; what is in a namespace goes with it. Raise RulepackError with what is left."""
        left = []
        for kind, names in ((NAMESPACE, self._namespaces), (DEFINITION, self._definitions)):
            for name in names:
                try:
                    await self._api.delete(await self._api.discover(kind), "", name)
                except ApiError as error:
                    left.append(f"{kind.kind} {name} ({error})")
        if left:
            raise RulepackError(f"still on the cluster; delete it with kubectl: {', '.join(left)}")

    async def _served(self, kind: Kind) -> bool:
        try:
            await self._api.discover(kind)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    async def _until_served(self, kind: Kind) -> None:
        for _ in range(TRIES):
            if await self._served(kind):
                return
            await asyncio.sleep(PAUSE)
        await self._api.discover(kind)


def _defined(definition: Object) -> Kind:
    """Return the kind that a CustomResourceDefinition defines, in its first version."""
    version = dig(definition, ("spec", "versions"), [{}])[0].get("name", "")
    return Kind(f"{dig(definition, ('spec', 'group'))}/{version}", dig(definition, ("spec", "names", "kind")))
