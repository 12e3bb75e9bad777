"""What the steps of a test do: to the objects of its cluster, to the engine, and to flags and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.cel import Path
from engine.errors import InvalidText, Location
from engine.model.flags import Mode
from engine.model.names import misnamed
from engine.model.objects import Kind, Resource, kind_of, metadata, ref_of
from engine.model.plurals import guessed_resource
from engine.model.text import suggestion
from engine.packs.catalog import Catalog
from engine.packs.jsonschemas import Checker
from engine.packs.pack import RulePack
from engine.packs.sources import load_folder
from engine.packs.yamltext import read_yaml
from engine.testing.http import played
from engine.testing.schema import DEFAULT_NAMESPACE, StepSpec
from engine.testing.suite import Suite
from engine.testing.world import Seen, World


class StepError(Exception):
    """A step cannot be done: what is wrong, and where in the step."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.message, self.path = message, path


class Steps:
    """Takes the steps of one test of a suite on `world`, which has the packs in force."""

    def __init__(self, suite: Suite, packs: Mapping[str, RulePack], seen: Seen) -> None:
        self._suite, self._packs = suite, packs
        self._flags: dict[str, Mode] = {}
        self._params: dict[str, dict[str, Any]] = {name: {} for name in packs}
        self.world = World(self._catalog(), suite.spec.start, seen, every_rule=True)

    async def serve(self) -> None:
        """Make the cluster know every kind that the tests or the packs name."""
        for spec in self._suite.spec.kinds:
            kind = Kind(spec.api_version, spec.kind)
            resource = Resource(kind, spec.plural or guessed_resource(kind).plural, spec.namespaced)
            self.world.cluster.register(resource, status_subresource=spec.status_subresource)
        for pack in self._packs.values():
            discovered = (discovery.kind for discovery in pack.discover.values())
            for kind in (*pack.watches, *discovered, *(target.kind for target in pack.targets if target.kind.kind != "*")):
                await self.world.serve(kind)

    async def take(self, step: StepSpec) -> None:
        """Do what a step other than `expect` says. Raises StepError and ApiError."""
        world = self.world
        if step.apply is not None:
            await self._apply(step.apply)
        elif step.delete is not None:
            ref = step.delete
            await world.delete(Kind(ref.api_version, ref.kind), ref.name, ref.namespace)
        elif step.advance is not None:
            await world.advance(step.advance)
        elif step.flags is not None:
            self._set_flags(step.flags)
        elif step.params is not None:
            self._set_params(step.params)
        elif step.stop or step.start or step.restart:
            self._run_or_stop(step)
        elif step.fault is not None:
            world.engine.faults.add(step.fault.injected())
        elif step.http is not None:
            world.http.play(played(step.http))

    def _run_or_stop(self, step: StepSpec) -> None:
        if self.world.running is bool(step.start):
            state = "the engine runs; expected stop before start" if step.start else "the engine is stopped; expected start first"
            raise StepError(state)
        if step.stop:
            self.world.stop()
        elif step.start:
            self.world.start()
        else:
            self.world.restart()

    async def _apply(self, what: str | dict[str, Any] | list[dict[str, Any]]) -> None:
        objects = self._read(what) if isinstance(what, str) else [what] if isinstance(what, dict) else what
        for index, obj in enumerate(objects):
            path: Path = ("apply", index) if isinstance(what, list) else ("apply",)
            wrong = misnamed(ref_of(obj))
            if wrong:
                raise StepError(f"this is no object: {wrong}", path)
            await self.world.serve(kind_of(obj))
            resource = await self.world.cluster.discover(kind_of(obj))
            home = {"namespace": DEFAULT_NAMESPACE} if resource.namespaced else {}
            await self.world.apply({**obj, "metadata": {**home, **metadata(obj)}})

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self._suite.file.parent / name
        if not path.is_file():
            raise StepError(f"there is no file {path}", ("apply",))
        text = load_folder([path])[0]
        try:
            if text.faults:
                raise InvalidText(text.faults)
            documents = read_yaml(text.text, lambda line, column: Location(text.file, line, column))
        except InvalidText as invalid:
            raise StepError(str(invalid), ("apply",)) from None
        return [document.value for document in documents if isinstance(document.value, dict)]

    def _set_flags(self, flags: Mapping[str, str]) -> None:
        known = [pack.feature_flag for pack in self._packs.values()]
        for name, mode in flags.items():
            if name not in known:
                raise StepError(f"no pack has the feature flag {name!r}; expected {suggestion(name, known)}", ("flags", name))
            self._flags[name] = Mode(mode)
        self.world.catalog = self._catalog()

    def _set_params(self, params: Mapping[str, Mapping[str, Any]]) -> None:
        for name, values in params.items():
            if name not in self._packs:
                raise StepError(f"there is no pack {name!r}; expected {suggestion(name, self._packs)}", ("params", name))
            declared = self._packs[name].params
            for param, value in values.items():
                path = ("params", name, param)
                if param not in declared:
                    raise StepError(f"{name} has no param {param!r}; expected {suggestion(param, declared)}", path)
                checker = Checker(declared[param].schema)
                for fault in checker.faults(value):
                    raise StepError(f"{fault.message}; expected {fault.expected}", path)
                self._params[name][param] = checker.typed(value)
        self.world.catalog = self._catalog()

    def _catalog(self) -> Catalog:
        modes = {name: self._flags.get(pack.feature_flag, pack.default_mode) for name, pack in self._packs.items()}
        return Catalog.of(self._packs, modes, self._params)
