"""Compiles the spec of one pack, and notes every fault in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.actions.target import Target as LookupTarget
from engine.cel import Cel, Compiled, Compiler, Path, Program
from engine.cel.documents import path_steps
from engine.errors import Fault
from engine.model.flags import Mode
from engine.model.objects import Kind
from engine.packs import declarations
from engine.packs.actionlist import ActionList, registers
from engine.packs.document import Document
from engine.packs.names import GROUP_VARIABLES, VARIABLES, DeclaredNames, check_vars, needed
from engine.packs.notes import Notes
from engine.packs.pack import Aggregate, AggregateList, Existing, Limits, Retry, Rule, RulePack, Watch
from engine.packs.schema import AggregateSpec, RulePackSpec, RuleSpec

#: The name part of an annotation (`<pack>.<rule>` of the firing record) has at most 63 characters.
#: Source: kubernetes, apimachinery/pkg/util/validation/validation.go.
LONGEST_RECORD = 63


@dataclass(frozen=True, slots=True)
class Compilation:
    """A compiled pack, which is of use only where there are no faults; the faults; and each expression in it."""

    pack: RulePack
    faults: Sequence[Fault]
    expressions: Sequence[Compiled]


def compile_pack(spec: RulePackSpec, document: Document, cel: Cel) -> Compilation:
    """Compile a pack."""
    notes = Notes(document)
    name, body = spec.metadata.name, spec.spec
    names = DeclaredNames(cel, {"params": tuple(body.params), "inputs": tuple(body.inputs), "inputErrors": tuple(body.inputs)})
    compiler = Compiler(names, VARIABLES - {"vars", "lookup"}, document.locate)
    sharing = Compiler(names.having(vars=body.vars), VARIABLES - {"lookup"}, document.locate)
    shared = {each: sharing.program(text, ("spec", "vars", each)) for each, text in body.vars.items()}
    check_vars(shared, shared, sharing, ("spec", "vars"))
    pack = RulePack(
        name=name,
        description=body.description,
        feature_flag=body.feature_flag or name,
        default_mode=Mode(body.default_mode),
        watch=Watch(
            Kind(body.watch.api_version, body.watch.kind),
            body.watch.label_selector,
            tuple(path_steps(path) for path in body.watch.fields_),
        ),
        params={
            **declarations.params(body.params, notes, ("spec", "params")),
            **(declarations.common() if body.targets else {}),
        },
        targets=declarations.targets(body.targets, notes, compiler, ("spec", "targets")),
        vars=shared,
        inputs=declarations.inputs(body.inputs, notes, ("spec", "inputs")),
        metrics=declarations.metrics(body.metrics, notes, ("spec", "metrics")),
        place=document.locate(()),
    )
    notes.take(compiler)
    notes.take(sharing)
    rules = []
    for index, rule in enumerate(body.rules):
        path: Path = ("spec", "rules", index)
        if len(f"{name}.{rule.name}") > LONGEST_RECORD:
            message = f"{name}.{rule.name} has {len(name) + len(rule.name) + 1} characters, and is part of an annotation's key"
            notes.fault((*path, "name"), message, f"at most {LONGEST_RECORD}", code="record-name")
        rules.append(_RuleCompiler(rule, pack, document, names, notes, path).compile())
    notes.unique([rule.name for rule in body.rules], "rule", ("spec", "rules"), ("name",))
    reads_old = any("oldObject" in each.program.variables for each in notes.compiled)
    return Compilation(replace(pack, rules=tuple(rules), reads_old=reads_old), notes.faults, notes.compiled)


#: What only a rule that acts once for each object can have.
ONE_OBJECT_ONLY = frozenset(["on", "hold", "once_per", "existing", "loop", "lookup"])


def group_names(spec: AggregateSpec) -> tuple[str, ...]:
    """What expressions may read below `group`."""
    return (*spec.counts, *spec.lists, *(f"{name}LeftOut" for name in spec.lists), *spec.max_)


class _RuleCompiler:
    """Compiles one rule: what judges it sees the object; its actions also see the loop's item and what was registered."""

    def __init__(
        self, spec: RuleSpec, pack: RulePack, document: Document, names: DeclaredNames, notes: Notes, path: Path
    ) -> None:
        self._spec, self._notes, self._path = spec, notes, path
        self._document = document
        self._actions = ActionList(pack, document, notes)
        self._shared = pack.vars
        names = names.having(vars=(*pack.vars, *spec.vars), lookup=spec.lookup)
        results = {*registers(spec.actions)} - {""}
        rescued = results | {*registers(spec.rescue)} - {""}
        item = {spec.loop_var} if spec.loop else set()
        self._names = names
        acting = VARIABLES | item
        acting_names = names
        if spec.aggregate:
            acting, acting_names = GROUP_VARIABLES, names.having(group=group_names(spec.aggregate))
        self._judging = Compiler(names, VARIABLES, document.locate)
        self._looping = Compiler(names, VARIABLES | item, document.locate)
        self._acting = Compiler(acting_names.having(results=results), acting | {"results"}, document.locate)
        self._rescuing = Compiler(acting_names.having(results=rescued), acting | {"results", "error"}, document.locate)

    def compile(self) -> Rule:
        """The compiled rule."""
        spec, path = self._spec, self._path
        own = {name: self._looping.program(text, (*path, "vars", name)) for name, text in spec.vars.items()}
        self._vars = {**self._shared, **own}
        check_vars(self._vars, own, self._looping, (*path, "vars"))
        for name in sorted(own.keys() & self._shared.keys()):
            self._looping.fault((*path, "vars", name), f"vars.{name} is a var of the pack already", "another name")
        rule = Rule(
            name=spec.name,
            description=spec.description,
            vars=self._vars,
            when=tuple(self._judge(text, "when", index) for index, text in enumerate(spec.when)),
            on=spec.on,
            hold=spec.hold,
            once_per=self._judge(spec.once_per, "oncePer") if spec.once_per else None,
            existing=self._existing(),
            lookups=self._lookups(),
            aggregate=self._aggregate(),
            loop=self._judge(spec.loop, "loop") if spec.loop else None,
            loop_var=spec.loop_var,
            loop_key=self._looping.program(spec.loop_key, (*path, "loopKey")) if spec.loop_key else None,
            throttle=spec.throttle.every if spec.throttle else None,
            resync=spec.resync,
            limits=Limits(spec.limits.max_targets, spec.limits.on_exceed),
            actions=self._actions.compile(spec.actions, self._acting, (*path, "actions")),
            retry=Retry(spec.retry.limit, spec.retry.backoff, spec.retry.max_backoff, spec.retry.timeout),
            rescue=self._actions.compile(spec.rescue, self._rescuing, (*path, "rescue")),
            mode=Mode(spec.mode) if spec.mode else None,
        )
        if spec.loop is None:
            for key in spec.model_fields_set & {"loop_var", "loop_key"}:
                alias = str(RuleSpec.model_fields[key].alias)
                self._notes.fault((*path, alias), f"{alias} without a loop", "loop: CEL that gives a list", at_key=True)
        for compiler in (self._judging, self._looping, self._acting, self._rescuing):
            self._notes.take(compiler)
        return rule

    def _judge(self, text: str, *below: str | int) -> Program:
        """An expression that is evaluated before there is an item of the loop."""
        path = (*self._path, *below)
        program = self._judging.program(text, path)
        if self._spec.loop and (through := needed(program, self._vars, self._spec.loop_var)):
            message = f"{through} needs {self._spec.loop_var}, which has no value here"
            self._judging.fault(path, message, "it in loopKey, actions and rescue only")
        return program

    def _existing(self) -> Existing:
        spec = self._spec.existing
        return Existing(spec.policy, spec.max_age, self._judge(spec.age_from, "existing", "ageFrom") if spec.age_from else None)

    def _aggregate(self) -> Aggregate | None:
        """What objects contribute, and the target, which only the group's key is known for."""
        spec = self._spec.aggregate
        if spec is None:
            return None
        for key in sorted(self._spec.model_fields_set & ONE_OBJECT_ONLY):
            alias = str(RuleSpec.model_fields[key].alias)
            self._notes.fault((*self._path, alias), f"{alias} together with aggregate", "one of the two", at_key=True)
        path = (*self._path, "aggregate")
        compiler = Compiler(self._names, GROUP_VARIABLES - {"group", "object", "target"}, self._document.locate)
        target = LookupTarget.compile(spec.target, compiler, (*path, "target"))
        self._actions.check_needs([*target.needs("patch"), *target.listing()], (*path, "target"))
        self._notes.take(compiler)
        lists = {}
        for name, each in spec.lists.items():
            where = self._judge(each.where, "aggregate", "lists", name, "where") if each.where else None
            lists[name] = AggregateList(self._judge(each.value, "aggregate", "lists", name, "value"), where, each.limit)
        return Aggregate(
            self._judge(spec.by, "aggregate", "by"),
            target,
            {name: self._judge(text, "aggregate", "counts", name) for name, text in spec.counts.items()},
            lists,
            {name: self._judge(text, "aggregate", "max", name) for name, text in spec.max_.items()},
        )

    def _lookups(self) -> dict[str, LookupTarget]:
        """Each lookup may use those above it."""
        found: dict[str, LookupTarget] = {}
        for name, target in self._spec.lookup.items():
            compiler = Compiler(self._names.having(lookup=tuple(found)), VARIABLES, self._document.locate)
            found[name] = LookupTarget.compile(target, compiler, (*self._path, "lookup", name))
            self._actions.check_needs(found[name].needs(), (*self._path, "lookup", name))
            self._notes.take(compiler)
        return found
