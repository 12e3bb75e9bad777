"""From the spec of a pack to a pack that can be evaluated: names and references bound, expressions compiled, faults collected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.cel import Cel, Compiled
from engine.cel.uses import refuse_circles, uses_of_vars
from engine.errors import Fault
from engine.model.flags import Mode
from engine.packs import declarations
from engine.packs.declarations import VARIABLES, DeclaredNames
from engine.packs.diagnostics import Diagnostics
from engine.packs.document import Document
from engine.packs.identity import LONGEST_RECORD, config_key
from engine.packs.pack import RulePack
from engine.packs.rule_binder import RuleBinder
from engine.packs.rule_schema import RuleSpec
from engine.packs.schema import RulePackSpec
from engine.packs.watches import bind_watches


@dataclass(frozen=True, slots=True)
class BoundPack:
    """A pack, which is of use only where there are no faults, the faults, and each expression in it."""

    pack: RulePack
    faults: Sequence[Fault]
    expressions: Sequence[Compiled]


def bind_pack(spec: RulePackSpec, document: Document, cel: Cel, namespace: str = "") -> BoundPack:
    """Bind a pack that was read from a document; `namespace` is '' for the operator's own and for what is shipped."""
    name, body = spec.metadata.name, spec.spec
    diagnostics = Diagnostics(document)
    names = DeclaredNames(cel, {"params": tuple(body.params), "inputs": tuple(body.inputs), "inputErrors": tuple(body.inputs)})
    sharing = diagnostics.compiler(names.having(vars=body.vars), VARIABLES - {"lookup"})
    shared = {each: sharing.program(text, ("spec", "vars", each)) for each, text in body.vars.items()}
    refuse_circles("vars", uses_of_vars(shared), shared, sharing, ("spec", "vars"))
    consent = diagnostics.compiler(names, VARIABLES - {"vars", "lookup"})
    pack = RulePack(
        name=name,
        namespace=namespace,
        description=body.description,
        feature_flag=config_key(namespace, body.feature_flag or name),
        default_mode=Mode(body.default_mode),
        mode=Mode(body.mode) if body.mode else None,
        watches=bind_watches(body.watch, diagnostics),
        params=declarations.bind_params(body.params, diagnostics, ("spec", "params"))
        | (declarations.params(declarations.COMMON) if body.targets else {}),
        discover=declarations.bind_discoveries(
            body.discover, body.params, diagnostics, diagnostics.compiler(cel, {"object"}), ("spec", "discover")
        ),
        targets=declarations.bind_targets(body.targets, diagnostics, consent, ("spec", "targets")),
        vars=shared,
        inputs=declarations.bind_inputs(body.inputs, body.params, diagnostics, ("spec", "inputs")),
        metrics=declarations.bind_metrics(body.metrics, namespace, diagnostics, ("spec", "metrics")),
        previous_names=tuple(body.previous_names),
        location=document.locate(()),
    )
    _check_names(name, body.rules, diagnostics)
    binders = [RuleBinder(rule, pack, names, diagnostics, ("spec", "rules", index)) for index, rule in enumerate(body.rules)]
    rules = tuple(binder.bind() for binder in binders)
    reads_old = any("oldObject" in each.program.variables for each in diagnostics.expressions)
    called = {name for each in diagnostics.expressions for name in each.program.tree.functions}
    libraries = frozenset(name.rpartition(".")[0] for name in called)
    pack = replace(pack, rules=rules, reads_old=reads_old, libraries=libraries)
    return BoundPack(pack, diagnostics.faults, diagnostics.expressions)


def _check_names(pack: str, rules: Sequence[RuleSpec], diagnostics: Diagnostics) -> None:
    """Add a fault for each rule whose name, or a previous one, cannot name a firing record of its own."""
    for index, rule in enumerate(rules):
        record = f"{pack}.{rule.name}"
        if len(record) > LONGEST_RECORD:
            message = f"{record} has {len(record)} characters, and is part of an annotation's key"
            diagnostics.fault(("spec", "rules", index, "name"), message, f"at most {LONGEST_RECORD}", code="record-name")
    all_names = [name for rule in rules for name in {rule.name, *rule.previous_names}]
    for index, rule in enumerate(rules):
        for number, previous in enumerate(rule.previous_names):
            if all_names.count(previous) > 1:
                where = ("spec", "rules", index, "previousNames", number)
                diagnostics.fault(where, f"another rule has or had the name {previous!r}", "a name that was this rule's alone")
    diagnostics.unique([rule.name for rule in rules], "rule", ("spec", "rules"), ("name",))
