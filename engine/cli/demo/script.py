"""What a demo is made of: a folder, all of which is compiled before anything runs.

- `script.yaml`: namespaces, what is watched, the steps, the effects (`ScriptSpec` is its schema);
- `crds.yaml`: definitions of the kinds that a cluster may lack;
- `cluster.yaml`: the objects that are there when the script begins;
- `simulators/`: rule packs that simulate the controllers of a cluster that is not there.

Every string of script.yaml and cluster.yaml may hold `${…}`. Its variables: `namespaces` (names by the script's own names),
`now`, `objects` (what is watched, as it is now: `objects.<watch>[<object's name>]`), and in `shows` the one `object`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from engine.cel import Cel, Compiler, Program, Template
from engine.errors import InvalidText, Location, UsageError
from engine.model.objects import Kind, Object
from engine.model.spec import Spec
from engine.packs.diagnostics import spec_faults
from engine.packs.document import Document
from engine.packs.yamltext import read_yaml

VARIABLES = frozenset({"namespaces", "now", "objects"})
OPERATOR = "operator"


class WatchedSpec(Spec):
    """Objects whose changes are shown."""

    api_version: str
    kind: str
    namespace: str
    """May hold `${…}`."""
    shows: str = ""
    """What is said of an object, when it has changed; '' says nothing. May hold `${…}` and read `object`."""


class PatchSpec(Spec):
    """A merge patch of watched objects."""

    watched: str
    """Which of `watch` they are."""
    names: list[str]
    subresource: Literal["status"] | None = None
    body: Any


class StepSpec(Spec):
    """Something that happens, so many seconds after the script has begun: objects are created, then others changed."""

    at: float
    say: str
    create: list[dict[str, Any]] = []  # noqa: RUF012 - pydantic copies it
    patch: list[PatchSpec] = []  # noqa: RUF012


class EffectSpec(Spec):
    """Something that must be true: `that` in the end, `always` at every moment from the first step on; one of the two."""

    effect: str
    that: str | None = None
    always: str | None = None
    seen: str
    """What was seen instead of it, or in proof of it; may hold `${…}`."""


class ScriptSpec(Spec):
    """script.yaml."""

    title: str
    namespaces: dict[str, str]
    """Those of the script; `operator` is where the engine's own Lease and ConfigMaps are."""
    watch: dict[str, WatchedSpec]
    ready: str
    """CEL: the script begins when it is true."""
    steps: list[StepSpec]
    timeout: float
    """Seconds after the last step in which the effects must have come about."""
    effects: list[EffectSpec]


@dataclass(frozen=True, slots=True)
class Watched:
    """Objects that are watched, and what is said of one; see `WatchedSpec`."""

    kind: Kind
    namespace: Template
    shows: Template


@dataclass(frozen=True, slots=True)
class StepPatch:
    """A merge patch; see `PatchSpec`."""

    watched: str
    names: Sequence[str]
    subresource: str
    body: Template


@dataclass(frozen=True, slots=True)
class Step:
    """A step; see `StepSpec`."""

    at: float
    say: Template
    create: Template
    patches: Sequence[StepPatch]


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """An effect; see `EffectSpec`."""

    text: Template
    condition: Program
    always: bool
    seen: Template


@dataclass(frozen=True, slots=True)
class Script:
    """A script, ready to be run."""

    title: str
    namespaces: Mapping[str, str]
    watched: Mapping[str, Watched]
    ready: Program
    steps: Sequence[Step]
    timeout: float
    effects: Sequence[Effect]
    definitions: Sequence[Object]
    objects: Template
    simulators: Path


def load(folder: Path, cel: Cel) -> Script:
    """Return the script of a folder. Raise InvalidText, or UsageError where a part of it is missing."""
    text = _read(folder / "script.yaml")
    if len(text) != 1:
        raise UsageError(f"{folder / 'script.yaml'}: {len(text)} YAML documents; expected one")
    try:
        spec = ScriptSpec.model_validate(text[0].value)
    except ValidationError as error:
        raise InvalidText(spec_faults(error, ScriptSpec, text[0].value, text[0])) from None
    compiler = Compiler(cel, VARIABLES, text[0].locate)
    objects, faults = _templates(_read(folder / "cluster.yaml"), cel)
    script = _compiled(spec, compiler, folder, objects)
    if faults := [*compiler.faults, *faults]:
        raise InvalidText(faults)
    return script


def _compiled(spec: ScriptSpec, compiler: Compiler, folder: Path, objects: Template) -> Script:
    return Script(
        title=spec.title,
        namespaces=spec.namespaces,
        watched={name: _watched(watched, compiler, ("watch", name)) for name, watched in spec.watch.items()},
        ready=compiler.program(spec.ready, ("ready",)),
        steps=[_step(step, spec, compiler, number) for number, step in enumerate(spec.steps)],
        timeout=spec.timeout,
        effects=[_effect(effect, compiler, number) for number, effect in enumerate(spec.effects)],
        definitions=[document.value for document in _read(folder / "crds.yaml")],
        objects=objects,
        simulators=folder / "simulators",
    )


def _watched(spec: WatchedSpec, compiler: Compiler, path: tuple[str, ...]) -> Watched:
    namespace = compiler.template(spec.namespace, (*path, "namespace"))
    return Watched(Kind(spec.api_version, spec.kind), namespace, compiler.template(spec.shows, (*path, "shows"), ("object",)))


def _step(spec: StepSpec, script: ScriptSpec, compiler: Compiler, number: int) -> Step:
    path = ("steps", number)
    for index, patch in enumerate(spec.patch):
        if patch.watched not in script.watch:
            compiler.fault(
                (*path, "patch", index, "watched"), f"nothing is watched as {patch.watched!r}", ", ".join(script.watch)
            )
    return Step(
        spec.at,
        compiler.template(spec.say, (*path, "say")),
        compiler.template(spec.create, (*path, "create")),
        [
            StepPatch(
                patch.watched,
                patch.names,
                patch.subresource or "",
                compiler.template(patch.body, (*path, "patch", index, "body")),
            )
            for index, patch in enumerate(spec.patch)
        ],
    )


def _effect(spec: EffectSpec, compiler: Compiler, number: int) -> Effect:
    path = ("effects", number)
    always = spec.always is not None
    if always == (spec.that is not None):
        compiler.fault(path, "an effect has either `that` or `always`")
    condition = compiler.program(spec.always or spec.that or "true", (*path, "always" if always else "that"))
    return Effect(
        compiler.template(spec.effect, (*path, "effect")), condition, always, compiler.template(spec.seen, (*path, "seen"))
    )


def _templates(documents: Sequence[Document], cel: Cel) -> tuple[Template, Sequence[Any]]:
    """Return several documents as one template, which renders to their list, and what does not compile in them."""
    compilers = [Compiler(cel, VARIABLES, document.locate) for document in documents]
    parts = [compiler.template(document.value, ()) for compiler, document in zip(compilers, documents, strict=True)]
    programs = tuple(program for part in parts for program in part.programs)
    whole = Template(programs, lambda scope: [part.render(scope) for part in parts])
    return whole, [fault for compiler in compilers for fault in compiler.faults]


def _read(path: Path) -> Sequence[Document]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; the demo is not complete") from None
    return read_yaml(text, partial(Location, str(path)))
