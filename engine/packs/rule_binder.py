"""Binding one rule: its expressions compiled, its actions and lookups checked against the pack's targets, faults collected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ValidationError

from engine.actions import ACTIONS, Action, Need
from engine.actions.event import EVENT, EventSpec
from engine.actions.lookup import Lookup
from engine.actions.metric import MetricAction
from engine.actions.target import WATCHED, TargetSpec
from engine.cel import Compiler, Path, Program
from engine.cel.uses import refuse_circles, uses_of_vars
from engine.model.flags import Mode
from engine.model.objects import Kind
from engine.model.text import found, shown, suggestion
from engine.packs import pruning
from engine.packs.aggregate import Urgent
from engine.packs.declarations import VARIABLES, DeclaredNames, check_metric, lookups_of, needed_through
from engine.packs.diagnostics import SCHEMA, Diagnostics
from engine.packs.fields import IDENTIFIER
from engine.packs.groups import GroupBinder
from engine.packs.kinds import instead_of, no_kind
from engine.packs.metadata_texts import IN_QUOTES, no_texts
from engine.packs.pack import RulePack
from engine.packs.rule import Existing, Limits, Retry, Rule, RuleAction
from engine.packs.rule_schema import RuleSpec
from engine.packs.schedule import NOT_BESIDE, TIME, Schedule
from engine.packs.watches import kind_path, kinds_left

#: What only a rule that acts once for each object can have.
ONE_OBJECT_ONLY = frozenset(["event", "on", "hold", "schedule", "once_per", "existing", "loop"])
_BESIDE_ACTION = ("when", "register")
#: An action of kubectl, Ansible or Kyverno -> the one of a rule pack.
_ELSEWHERE = {
    "update": "'patch'", "create": "'apply'", "mutate": "'patch'", "generate": "'apply'", "validate": "'assert'",
    "event": "'emitEvent'", "debug": "'emitEvent'", "evict": "'delete' with evict: true", "restart": "'patch'",
    "remove": "'delete'", "labels": "'label'", "annotations": "'annotate'", "rollout": "'patch'",
    **dict.fromkeys(("pause", "sleep"), "for, a key of the rule, or 'wait' until an object is so"), "fail": "'assert'",
    "removelabel": "'label' with null as the value", "unlabel": "'label' with null as the value",
    "removeannotation": "'annotate' with null as the value", "name": "no name, which an action has not",
    "when": "an action beside 'when'",
    **dict.fromkeys(("slack", "webhook", "notify", "teams", "email", "pagerduty", "uri", "request", "alert"), "'http'"),
    **dict.fromkeys(("set_fact", "set", "vars", "let"), "vars, a key of the rule"),
    **dict.fromkeys(("shell", "command", "kubectl", "script", "exec", "run"), "patch, apply or delete: no command runs here"),
}  # fmt: skip


class RuleBinder:
    """Binds one rule: what decides about it sees the object; its actions also see the loop's item and what was registered."""

    def __init__(self, spec: RuleSpec, pack: RulePack, names: DeclaredNames, diagnostics: Diagnostics, path: Path) -> None:
        self._spec, self._pack, self._diagnostics, self._path = spec, pack, diagnostics, path
        looked_up = (*spec.lookup, *lookups_of((*spec.actions, *spec.rescue)))
        self._names = names.having(spec.loop_var, vars=(*pack.vars, *spec.vars), lookup=looked_up, schedule=("time",))
        self._variables = VARIABLES | ({"schedule"} if spec.schedule else set())
        with_item = self._variables | ({spec.loop_var} if spec.loop else set())
        self._deciding = diagnostics.compiler(self._names, self._variables - ({"lookup"} if spec.aggregate else set()))
        self._looping = diagnostics.compiler(self._names, with_item)
        self._group = GroupBinder(spec.aggregate, self._names, diagnostics, path) if spec.aggregate else None
        self._acting, self._acting_names = with_item, self._names
        if self._group is not None:
            self._acting, self._acting_names = self._group.variables, self._group.names
        self._kinds = tuple(pack.watches)
        own = {name: self._looping.program(text, (*path, "vars", name)) for name, text in spec.vars.items()}
        self._vars = {**pack.vars, **own}
        refuse_circles("vars", uses_of_vars(self._vars), own, self._looping, (*path, "vars"))
        for name in sorted(own.keys() & pack.vars.keys()):
            self._fault(("vars", name), f"vars.{name} is a var of the pack already", "another name")

    def bind(self) -> Rule:
        """Return the rule."""
        spec = self._spec
        self._refuse_what_does_not_go_together()
        registers = {*_registers(spec.actions)} - {""}
        when = tuple(self._decide(text, "when", index) for index, text in enumerate(spec.when))
        self._kinds = kinds_left(self._pack.watches, when, self._vars)
        timed = (i for i, each in enumerate(when) if "now" in each.variables or needed_through(each, self._vars, "now"))
        lookups, actions = self._lookups(), self._actions("actions", spec.actions, registers, {"results"})
        rescue = self._actions("rescue", spec.rescue, registers | {*_registers(spec.rescue)} - {""}, {"results", "error"})
        pruning.check(spec, self._pack, lookups, (actions, rescue), self._fault)
        return Rule(
            name=spec.name,
            description=spec.description,
            vars=self._vars,
            when=when,
            reads_now=frozenset() if spec.schedule else frozenset(timed),
            on=spec.event or spec.on or "Change",
            hold=spec.hold,
            schedule=Schedule.of(spec.schedule),
            once_per=self._decide(TIME, "schedule") if spec.schedule else self._optional(spec.once_per, "oncePer"),
            existing=self._existing(),
            lookups=lookups,
            aggregate=self._group.bind(self._vars, self._decide, self._check_needs) if self._group else None,
            loop=self._optional(spec.loop, "loop"),
            loop_var=spec.loop_var,
            loop_key=self._looping.program(spec.loop_key, (*self._path, "loopKey")) if spec.loop_key else None,
            throttle=spec.throttle.every if spec.throttle else None,
            urgent=self._urgent(),
            resync=spec.resync,
            limits=Limits(spec.limits.max_targets, spec.limits.on_exceed),
            actions=actions,
            retry=Retry(spec.retry.limit, spec.retry.backoff, spec.retry.max_backoff, spec.retry.timeout),
            rescue=rescue,
            mode=Mode(spec.mode) if spec.mode else None,
            previous_names=tuple(spec.previous_names),
        )

    def _existing(self) -> Existing:
        spec, once = self._spec.existing, self._spec.once_per
        default: Literal["CatchUp", "Ignore"] = "Ignore" if once and spec.age_from and spec.max_age is None else "CatchUp"
        return Existing(spec.policy or default, spec.max_age, self._optional(spec.age_from, "existing", "ageFrom"))

    def _refuse_what_does_not_go_together(self) -> None:
        """Add a fault for each key of an item without a loop, and of a single object beside an aggregate."""
        fields = self._spec.model_fields_set
        for key in sorted(fields & {"loop_var", "loop_key"}) if self._spec.loop is None else ():
            self._fault((_alias(key),), f"{_alias(key)} without a loop", "loop: CEL that gives a list", at_key=True)
        for key in sorted(fields & ONE_OBJECT_ONLY) if self._spec.aggregate else ():
            self._fault((_alias(key),), f"{_alias(key)} together with aggregate", "one of the two", at_key=True)
        for key in sorted(fields & NOT_BESIDE.keys()) if self._spec.schedule else ():
            self._fault((_alias(key),), f"{_alias(key)} together with schedule", NOT_BESIDE[key], at_key=True)
        if self._spec.schedule and "Delete" in (self._spec.event, self._spec.on):
            self._fault(("schedule",), "an object that is gone has no schedule", "event: Delete without it", at_key=True)

    def _decide(self, text: str, *below: str | int) -> Program:
        """Compile an expression that is evaluated before there is an item of the loop."""
        program = self._deciding.program(text, (*self._path, *below))
        if self._spec.loop and (through := needed_through(program, self._vars, self._spec.loop_var)):
            message = f"{through} needs {self._spec.loop_var}, which has no value here"
            self._fault(below, message, "it in loopKey, actions and rescue only")
        return program

    def _optional(self, text: str | None, *below: str | int) -> Program | None:
        return self._decide(text, *below) if text else None

    def _urgent(self) -> Urgent | None:
        spec = self._spec.throttle.urgent if self._spec.throttle else None
        if spec is not None and self._group is None:
            self._fault(("throttle", "urgent"), "urgent without an aggregate", "it beside aggregate only", at_key=True)
        return self._group.urgent(spec) if spec is not None and self._group is not None else None

    def _lookups(self) -> dict[str, Lookup]:
        """Return the lookups, each after those that it uses."""
        path = (*self._path, "lookup")
        names = self._acting_names.having(lookup=tuple(self._spec.lookup))
        variables, vars = (self._acting, {}) if self._group else (self._variables, self._vars)
        compiler = self._diagnostics.compiler(names, variables, vars)
        bound = Lookup.compile_all(self._spec.lookup, compiler, path)
        for name, target in bound.items():
            self._check_needs(target.needs(), (*path, name))
        return bound

    def _actions(
        self, part: str, entries: Sequence[dict[str, Any]], registers: set[str], extra: set[str]
    ) -> tuple[RuleAction, ...]:
        """Bind `actions` or `rescue`, which may name what is registered; entries with faults are left out."""
        path = (*self._path, part)
        self._diagnostics.unique(_registers(entries), "register", path, ("register",))
        names = self._acting_names.having(results=registers)
        compiler = self._diagnostics.compiler(names, self._acting | extra, {} if self._group else self._vars)
        bound = [self._entry(entry, compiler, (*path, index)) for index, entry in enumerate(entries)]
        return tuple(entry for entry in bound if entry is not None)

    def _entry(self, entry: dict[str, Any], compiler: Compiler, path: Path) -> RuleAction | None:
        condition, register = entry.get("when"), entry.get("register", "")
        if not isinstance(register, str) or ("register" in entry and not IDENTIFIER.match(register)):
            message = f"{found(register)} cannot be named in an expression"
            self._diagnostics.fault((*path, "register"), message, "letters, digits and '_', not a digit first")
        when = None
        if isinstance(condition, str):
            when = compiler.program(condition, (*path, "when"))
        elif "when" in entry:
            self._diagnostics.fault((*path, "when"), f"{found(condition)} stands here", "a CEL condition")
        name = self._name([key for key in entry if key not in _BESIDE_ACTION], path)
        action = self._action(name, entry[name], compiler, (*path, name)) if name else None
        if action is None:
            return None
        location = self._diagnostics.document.locate_key((*path, name))
        return RuleAction(action, location, register if isinstance(register, str) else "", when)

    def _name(self, names: Sequence[str], path: Path) -> str:
        """Return the name of an entry's one action; '' where there is none, an unknown one, or more than one."""
        for name in names:
            if name not in ACTIONS:
                expected = _ELSEWHERE.get(name.lower()) or suggestion(name, [*ACTIONS, *_BESIDE_ACTION])
                self._diagnostics.fault((*path, name), f"unknown action {shown(name, 60)}", expected, at_key=True, code=SCHEMA)
        known = [name for name in names if name in ACTIONS]
        if len(known) > 1:
            message = f"{known[0]!r} and {known[1]!r} stand in one entry"
            self._diagnostics.fault((*path, known[1]), message, "one action in each entry", at_key=True, code=SCHEMA)
        if not names:
            self._diagnostics.fault(path, "no action stands here", "one of " + ", ".join(sorted(ACTIONS)), code=SCHEMA)
        return known[0] if len(names) == len(known) == 1 else ""

    def _action(self, name: str, raw: Any, compiler: Compiler, path: Path) -> Action | None:
        schema = ACTIONS[name].Schema
        try:
            spec = schema.model_validate(raw)
            watched = getattr(spec, "target", None) == WATCHED
            if watched:
                spec = spec.model_copy(update={"target": self._watched()})
            aimless = self._spec.aggregate is not None and self._spec.aggregate.target is None
            if aimless and (watched or (isinstance(spec, EventSpec) and spec.regarding is None)):
                key = "target" if watched else "regarding"
                self._diagnostics.fault(path, f"{name} without {key}, and the aggregate has no target", f"{key} here, or there")
                return None
            action: Action = ACTIONS[name].compile(spec, compiler, path)
        except ValidationError as error:
            self._diagnostics.spec(error, schema, raw, path)
            return None
        if isinstance(action, MetricAction):
            check_metric(action, self._pack.metrics, self._diagnostics, path)
        for below, message in no_texts(ACTIONS[name].bodies(raw)):
            self._diagnostics.fault((*path, *below), message, IN_QUOTES)
        if aimless and action.writes_own():
            self._diagnostics.fault(path, f"{name} writes on the target, and the aggregate has none", "aggregate.target")
        for kind in (self._kinds if watched and self._group is None else ()) or (None,):
            self._check_needs([need._replace(kind=need.kind or kind) for need in action.needs()], (*path, "target"))
        return action

    def _watched(self) -> TargetSpec:
        """Return the object that a rule is about, with the kind that is known of it; of several kinds only the rule knows it."""
        aggregate, kinds = self._spec.aggregate, self._kinds
        if aggregate is not None and aggregate.target is not None:
            kinds = (Kind(aggregate.target.api_version, aggregate.target.kind),)
        known = {"api_version": kinds[0].api_version, "kind": kinds[0].kind} if len(kinds) == 1 else {}
        return WATCHED.model_copy(update=known)

    def _check_needs(self, needs: Sequence[Need], path: Path) -> None:
        """Add a fault for each verb that `targets` do not grant, which would be refused whenever the rule fires."""
        missing: dict[Kind | None, list[Need]] = {}
        for need in needs:
            if need != Need(EVENT, "create") and not all(map(self._pack.grants, self._pack.rights([need]))):
                missing.setdefault(need.kind, []).append(need)
        for kind, lacking in missing.items():
            if kind is not None and (instead := instead_of(kind)):
                where = kind_path(self._diagnostics.document, kind, path)
                self._diagnostics.fault(where, no_kind(kind), instead, code="unknown-kind")
                continue
            verbs, expected = [need.verb for need in lacking], "an entry with it under targets"
            if kind and any(need.followed for need in lacking):
                expected = f"an entry with them under targets, by which it is followed, or {' and '.join(verbs)} with live: true"
                verbs = self._pack.unfollowed(kind)
            what = f"{kind.kind} ({kind.api_version})" if kind else "any kind"
            message = f"the pack's targets do not have {' and '.join(verbs)} on {what}"
            self._diagnostics.fault(path, message, expected, code="undeclared-target")

    def _fault(self, below: Path, message: str, expected: str, *, at_key: bool = False) -> None:
        self._diagnostics.fault((*self._path, *below), message, expected, at_key=at_key)


def _registers(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names under which a list's results are kept; '' for an entry without one."""
    return [name if isinstance(name := entry.get("register"), str) else "" for entry in entries]


def _alias(field: str) -> str:
    return str(RuleSpec.model_fields[field].alias)
