"""What a change costs, in counts that are the same on every machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import orjson

from engine.cel import Backend, Functions, Program, Scope
from engine.kube.api import Api, PatchType
from engine.model.objects import Object, Resource
from tests.world import RULES

_ENGINE = str(RULES.parent / "engine")
_LEFT_OUT = (f"{_ENGINE}/testing", f"{_ENGINE}/kube/embedded")
_CONVERSIONS = "engine/cel/conversions.py"


class CountingCel:
    """A compiler of expressions whose programs count how often they are evaluated, vars and templates included."""

    def __init__(self, cel: Backend) -> None:
        self.evaluations = 0
        self._cel = cel

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """See `Cel.compile`."""
        program = self._cel.compile(text, variables)

        def answer(scope: Scope) -> Any:
            self.evaluations += 1
            return program.answer(scope)

        return replace(program, answer=answer)

    def linked(self, functions: Functions) -> CountingCel:
        """See `Backend.linked`; what both compile is counted here."""
        self._cel = self._cel.linked(functions)
        return self


class CountingApi:
    """A cluster that counts what is sent to it; reads are not its concern and go to the cluster itself."""

    def __init__(self, api: Api) -> None:
        self.writes = self.bytes = 0
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Any, *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """See `Api.patch`."""
        self._count(body)
        return await self._api.patch(resource, namespace, name, body, type=type, subresource=subresource, dry_run=dry_run)

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Any) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        self._count(body)
        return await self._api.patch_metadata(resource, namespace, name, body)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """See `Api.create`."""
        self._count(body)
        return await self._api.create(resource, namespace, body, dry_run=dry_run)

    def _count(self, body: Any) -> None:
        self.writes += 1
        self.bytes += len(orjson.dumps(body))


@dataclass(slots=True)
class Work:
    """How many JSON documents were decoded, and how many values converted for CEL."""

    decodes: int = 0
    conversions: int = 0


@contextmanager
def counted() -> Iterator[Work]:
    """Count the engine's own work meanwhile; its cluster in memory is left out."""
    work = Work()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if frame.f_code is json.loads.__code__ and frame.f_back and frame.f_back.f_code.co_filename.startswith(_ENGINE):
            work.decodes += event == "call"
        if event in ("call", "c_call") and file.startswith(_ENGINE) and not file.startswith(_LEFT_OUT):
            work.decodes += argument is orjson.loads
            work.conversions += event == "call" and file.endswith(_CONVERSIONS) and frame.f_code.co_name.startswith("to_")

    sys.setprofile(note)
    try:
        yield work
    finally:
        sys.setprofile(None)
