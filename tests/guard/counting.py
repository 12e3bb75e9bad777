"""What a change costs, in counts that are the same on every machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import orjson

from engine.cel import Cel, Program, Scope
from engine.kube.api import Api, PatchType
from engine.model.objects import Object, Resource
from tests.world import RULES

_ENGINE = str(RULES.parent / "engine")
_STAND_INS = (f"{_ENGINE}/testing", f"{_ENGINE}/cluster/embedded")
_CONVERSIONS = "engine/cel/conversions.py"


class CountingCel:
    """A compiler of expressions whose programs count how often they are evaluated, vars and templates included."""

    def __init__(self, cel: Cel) -> None:
        self.evaluations = 0
        self._cel = cel

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """See `Cel.compile`."""
        program = self._cel.compile(text, variables)

        def answer(scope: Scope) -> Any:
            self.evaluations += 1
            return program.answer(scope)

        return replace(program, answer=answer)


class CountingApi:
    """A cluster that counts what is sent to it; reads are not its concern and go to the cluster itself."""

    def __init__(self, api: Api) -> None:
        self.writes = self.bytes = 0
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Any, *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False, force: bool = False,
        metadata_only: bool = False,
    ) -> Object:  # fmt: skip
        """See `Api.patch`."""
        self._count(body)
        return await self._api.patch(
            resource, namespace, name, body,
            type=type, subresource=subresource, dry_run=dry_run, force=force, metadata_only=metadata_only,
        )  # fmt: skip

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """See `Api.create`."""
        self._count(body)
        return await self._api.create(resource, namespace, body, dry_run=dry_run)

    def _count(self, body: Any) -> None:
        self.writes += 1
        self.bytes += len(orjson.dumps(body))


@dataclass(slots=True)
class Calls:
    """How many functions were called, of Python and of C; how many of those decoded JSON, or converted a value for CEL."""

    number: int = 0
    decodes: int = 0
    conversions: int = 0


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count every call that the engine's own code makes, or that is made of it, meanwhile; its cluster in memory is left out."""
    calls = Calls()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if frame.f_code is json.loads.__code__ and frame.f_back and frame.f_back.f_code.co_filename.startswith(_ENGINE):
            calls.decodes += event == "call"
        if event not in ("call", "c_call") or not file.startswith(_ENGINE) or file.startswith(_STAND_INS):
            return
        calls.number += 1
        calls.decodes += argument is orjson.loads
        calls.conversions += event == "call" and file.endswith(_CONVERSIONS) and frame.f_code.co_name.startswith("to_")

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
