"""Write what is generated from the code: docs/reference/, and config/rbac/role.yaml from the shipped packs.

`make reference` runs it. With `--check` it only says which of these files are not as the code would write them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from engine.actions import ACTIONS
from engine.cel import backend
from engine.cel.reference import VARIABLE_TEXTS, functions
from engine.cel.types import short
from engine.cli.arguments import read_packs, variable
from engine.cli.main import COMMANDS, help_text
from engine.cli.run import run
from engine.model.plurals import guessed_resource
from engine.model.spec import Spec
from engine.operator.settings import OPERATOR_NAMESPACE
from engine.packs.crd import custom_resource_definition
from engine.packs.declarations import COMMON
from engine.packs.libraries import shipped_libraries
from engine.packs.library import RuleLibrarySpec
from engine.packs.library_crd import library_definition
from engine.packs.lint import CODES
from engine.packs.published import published_schema
from engine.packs.rbac import roles
from engine.packs.schema import RulePackSpec
from engine.testing.functions import RuleLibraryTestSpec
from engine.testing.schema import RulePackTestSpec
from scripts.bundle import CLUSTER_SCOPED, split_rights
from scripts.rights import rights

ROOT = Path(__file__).resolve().parents[1]
YAML_NOTE = "# Written by `make reference` from rules/: what the shipped packs and the engine itself need.\n"
NOTE = "<!-- Written by `make reference` from the code; change it there. -->\n"


def rulepack() -> str:
    """The keys of a rule pack."""
    schema = _described(RulePackSpec)
    del schema["$defs"]["ActionEntry"]
    actions = {action.Schema.__name__ for action in ACTIONS.values()}
    page = _page(
        "Rule packs",
        "`kind: RulePack`. Unknown keys are errors. [Actions](actions.md) have a page of their own.",
        schema,
        actions,
    )
    about = "Beside its own params each pack with targets has these, set in ConfigMap `rulepack-params` as well.\n"
    return page + _text(["\n## parameters of every pack with targets\n", about, *_table({"properties": COMMON})])


def tests() -> str:
    """The keys of a test."""
    return _page("Tests of rule packs", "`kind: RulePackTest`, run by `rulepack test`.", _described(RulePackTestSpec), set())


def actions() -> str:
    """The actions and their keys."""
    schema = _described(RulePackSpec)
    lines = [NOTE, "# Actions\n", "Each entry of `actions` and `rescue` is a mapping with the name of one action, and:\n"]
    lines += _table({"properties": {name: schema["$defs"]["ActionEntry"]["properties"][name] for name in ("when", "register")}})
    for name, action in ACTIONS.items():
        definition = schema["$defs"][action.Schema.__name__]
        lines += [f"\n## {name}\n", f"{definition['description']}\n", *_table(definition)]
        if gives := ", ".join(f"`{field}` ({short(kind)})" for field, kind in action.gives.items()):
            lines.append(f"\nGives `results.<register>` with {gives}.")
        else:
            lines.append("\nGives nothing: `results.<register>` is null.")
    for name in ("target", "secretKey"):
        definition = schema["$defs"][f"{name[0].upper()}{name[1:]}Spec"]
        lines += [f"\n## {name}\n", f"{definition['description']}\n", *_table(definition)]
    text = _text(lines)
    here = {heading.lower() for heading in re.findall(r"^## (\w+)$", text, re.MULTILINE)}
    return re.sub(r"\]\(#(\w+)\)", lambda link: link[0] if link[1] in here else f"](rulepack.md#{link[1]})", text)


def expressions() -> str:
    """The variables and functions of expressions."""
    lines = [
        NOTE,
        "# Expressions\n",
        "Kubernetes' CEL, and the engine's own functions; `${…}` inside strings of actions.\n",
        "## Variables\n",
    ]
    lines += ["| variable | where | what |", "|---|---|---|"]
    lines += [f"| `{name}` | {where} | {what} |" for name, (where, what) in VARIABLE_TEXTS.items()]
    lines += ["\n## Functions\n", "Capital letters stand for any type. Each example is true.\n"]
    lines += ["| call | gives | example | from |", "|---|---|---|---|"]
    for entry in functions():
        calls = "<br>".join(f"`{call}`" for call in entry.calls)
        row = f"| {calls} | {entry.text} | `{entry.example}` | {entry.origin} |"
        lines.append(row.replace("||", "\\|\\|"))
    return _text(lines)


def lint() -> str:
    """What lint finds."""
    lines = [
        NOTE,
        "# What `rulepack lint` finds\n",
        "`rulepack lint --explain CODE` says the same.\n",
        "| code | severity | what |",
        "|---|---|---|",
    ]
    lines += [f"| [`{code.name}`](#{code.name}) | {code.severity} | {_first(code.documentation)} |" for code in CODES.values()]
    for code in CODES.values():
        lines += [f"\n## {code.name}\n", f"{code.severity.capitalize()}. {code.documentation.strip()}"]
    return _text(lines)


def commands() -> str:
    """The help of every command."""
    lines = [NOTE, "# The command `rulepack`\n"]
    for name, what in COMMANDS.items():
        lines += [f"## {name}\n", f"{what}\n", "```", help_text(name).strip(), "```\n"]
    return _text(lines).rstrip("\n") + "\n"


def settings() -> str:
    """The settings of `rulepack run`, by option and by variable."""
    lines = [
        NOTE,
        "# Settings of `rulepack run`\n",
        "Each by an option or by a variable; the option goes before. OLM's Subscription sets variables (`spec.config.env`).",
        "Values of an option that may be repeated are separated by blanks, paths by ':'. A flag is `true` or `false`.\n",
        "| option | variable | default | what |",
        "|---|---|---|---|",
    ]
    options = [option for option in run.params if isinstance(option, click.Option) and option.name != "help"]
    for option in options:
        default = option.default if isinstance(option.default, str | int) and option.default not in ("", False) else ""
        shown = f"`{default}`" if default != "" else ""
        lines.append(f"| `{max(option.opts, key=len)}` | `{variable(option)}` | {shown} | {option.help or ''} |")
    return _text(lines)


def role() -> str:
    """The rights of the shipped packs."""
    packs = read_packs([ROOT / "rules"], backend())
    return f"{YAML_NOTE}{roles(packs, guessed_resource, 'rulepack', OPERATOR_NAMESPACE)}\n"


def own_namespace_role() -> str:
    """The rights of the shipped packs as a Role, without those that no Role can grant."""
    packs, *_ = yaml.safe_load_all(role())
    rules = [rule for rule in packs["rules"] if not CLUSTER_SCOPED & {*rule["resources"]}]
    meta = {"name": "rulepack-packs", "namespace": OPERATOR_NAMESPACE}
    return f"{YAML_NOTE}{yaml.safe_dump({**packs, 'kind': 'Role', 'metadata': meta, 'rules': rules}, sort_keys=False)}"


def installer_role() -> str:
    """What OLM v1 needs of the service account of a ClusterExtension: to make what is in the bundle, and all that it grants.

    Nobody may grant what they do not have (kubernetes: RBAC, privilege escalation prevention). The right on finalizers is asked
    for by OwnerReferencesPermissionEnforcement, an admission plugin that OpenShift has on.
    """
    making = [
        {"apiGroups": [group], "resources": resources, "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"]}
        for group, resources in (
            ("", ["serviceaccounts", "services"]),
            ("apiextensions.k8s.io", ["customresourcedefinitions"]),
            ("apps", ["deployments"]),
            ("policy", ["poddisruptionbudgets"]),
            ("rbac.authorization.k8s.io", ["clusterroles", "clusterrolebindings", "roles", "rolebindings"]),
        )
    ]
    extension = {"apiGroups": ["olm.operatorframework.io"], "resources": ["clusterextensions/finalizers"]}
    everywhere, bound = split_rights(role())
    reading = yaml.safe_load((ROOT / "config/rbac/metrics_reader.yaml").read_text())["rules"]
    rules = [*making, {**extension, "resourceNames": ["rulepack-operator"], "verbs": ["update"]}, *everywhere, *bound, *reading]
    document = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "rulepack-installer"}}
    return f"{YAML_NOTE}{yaml.safe_dump({**document, 'rules': rules}, sort_keys=False)}"


def _described(model: type[Spec]) -> dict[str, Any]:
    """The schema of a model, in which a key that says nothing of itself says what its type does."""
    schema = published_schema(model)
    for definition in (schema, *schema["$defs"].values()):
        for spec in definition.get("properties", {}).values():
            if "$ref" in spec:
                spec.setdefault("description", schema["$defs"][spec["$ref"].rpartition("/")[2]].get("description", ""))
    return schema


def _page(title: str, about: str, schema: Mapping[str, Any], without: set[str]) -> str:
    lines = [NOTE, f"# {title}\n", f"{about}\n", *_table(schema)]
    for name in _reachable(schema, without):
        definition = schema["$defs"][name]
        lines += [f"\n## {_name(name)}\n", f"{definition.get('description', '')}\n", *_table(definition)]
    return _text(lines)


def _reachable(schema: Mapping[str, Any], without: set[str]) -> Iterator[str]:
    """The definitions in the order in which a reader meets them."""
    waiting, seen = [schema], set(without)
    while waiting:
        for name in _references(waiting.pop(0)):
            if name not in seen and name in schema["$defs"]:
                seen.add(name)
                yield name
                waiting.append(schema["$defs"][name])


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for key, child in value.items():
            if key != "$defs":
                yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


def _table(definition: Mapping[str, Any]) -> Iterator[str]:
    yield "| key | type | what |"
    yield "|---|---|---|"
    for key, spec in definition.get("properties", {}).items():
        required = " **required**" if key in definition.get("required", ()) else ""
        default = spec.get("default")
        shown = (
            f" Default: `{json.dumps(default)}`." if default not in (None, [], {}, "") and not isinstance(default, dict) else ""
        )
        yield f"| `{key}`{required} | {_type(spec)} | {spec.get('description', '').replace('|', chr(92) + '|')}{shown} |"


def _type(spec: Mapping[str, Any]) -> str:
    """A type in a few words, with links to what is described further down."""
    if "$ref" in spec:
        name = spec["$ref"].rpartition("/")[2]
        return "action" if name == "ActionEntry" else f"[{_name(name)}](#{_name(name).lower().replace(' ', '-')})"
    if "const" in spec:
        return f"`{json.dumps(spec['const'])}`"
    if "enum" in spec:
        return ", ".join(f"`{value}`" for value in spec["enum"])
    if "anyOf" in spec:
        return " or ".join(dict.fromkeys(_type(each) for each in spec["anyOf"] if each.get("type") != "null"))
    if "type" not in spec:
        return "any"
    inner = spec.get("additionalProperties", {})
    words = {
        "array": f"list of {_type(spec.get('items', {}))}",
        "object": f"mapping of {_type(inner)}" if inner and inner is not True else "mapping",
        "string": "duration" if "ms|s|m|h|d" in spec.get("pattern", "") else "text",
        "integer": "whole number",
        "boolean": "true, false",
    }
    return words.get(spec["type"], str(spec["type"]))


def _name(model: str) -> str:
    """`WatchSpec` as `watch`, as a heading."""
    name = model.removesuffix("Spec").removesuffix("Declaration") or model
    return name[0].lower() + name[1:]


def libraries() -> str:
    """The keys of a library and of its tests, and the functions that are shipped."""
    about = "`kind: RuleLibrary`, functions in CEL that rule packs share. [Libraries](../libraries.md) says how they are used."
    lines = [_page("Libraries", about, _described(RuleLibrarySpec), set())]
    described = _described(RuleLibraryTestSpec)
    tests = _page("Tests of libraries", "`kind: RuleLibraryTest`, run by `rulepack test`.", described, set())
    lines.append(tests.removeprefix(NOTE).replace("\n## ", "\n### ").replace("\n# ", "\n## "))
    shipped = shipped_libraries()
    for library in shipped.libraries.values():
        lines += [f"\n## The shipped library `{library.name}`\n", f"{library.spec.spec.description}\n"]
        lines += ["| call | what |", "|---|---|"]
        for name, spec in library.functions.items():
            lines.append(f"| `{shipped.functions.defined[name].signature}` | {' '.join(spec.description.split())} |")
    return _text(lines)


def _first(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def _text(lines: list[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _schema(model: type[Spec]) -> Callable[[], str]:
    return lambda: json.dumps(published_schema(model), indent=2, ensure_ascii=False) + "\n"


def _definition(source: str, write: Callable[[], dict[str, Any]]) -> Callable[[], str]:
    """A CustomResourceDefinition as a file, which says where it is from."""
    note = f"# Written by `make reference` from the schema in {source}; change it there.\n"
    return lambda: note + yaml.safe_dump(write(), sort_keys=False, width=130, allow_unicode=True)


FILES: Mapping[str, Callable[[], str]] = {
    "docs/reference/rulepack.md": rulepack,
    "docs/reference/actions.md": actions,
    "docs/reference/expressions.md": expressions,
    "docs/reference/tests.md": tests,
    "docs/reference/libraries.md": libraries,
    "docs/reference/lint.md": lint,
    "docs/reference/commands.md": commands,
    "docs/reference/settings.md": settings,
    "docs/reference/rights.md": lambda: rights(ROOT / "rules"),
    "docs/reference/rulepack.schema.json": _schema(RulePackSpec),
    "docs/reference/rulepacktest.schema.json": _schema(RulePackTestSpec),
    "config/crd/rulepacks.yaml": _definition("engine/packs/schema.py", custom_resource_definition),
    "config/crd/rulelibraries.yaml": _definition("engine/packs/library.py", library_definition),
    "config/rbac/role.yaml": role,
    "config/own-namespace/role.yaml": own_namespace_role,
    "config/olmv1/role.yaml": installer_role,
}


def main(check: bool) -> int:
    """Write the files, or compare them. Returns the exit status."""
    stale = 0
    for name, write in FILES.items():
        path, text = ROOT / name, write()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{name}: not what the code says now; run `make reference`", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(name)
    return stale


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
