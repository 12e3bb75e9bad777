"""docs/upgrade.md has every metric, alert, right and default that differs between release 0.1.0 and this one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from typing import Any

import pytest
import yaml
from click import Option

from engine.cli.run import run
from engine.operator.metrics import Metrics
from scripts.bundle import ROOT
from tests.bundle.released import COMMIT
from tests.bundle.rights import Right, rights

PAGE = (ROOT / "docs/upgrade.md").read_text()
WORKING_TREE = ""


def text(path: str, commit: str = WORKING_TREE) -> str:
    """A file as it is, or as it was at a commit."""
    if commit == WORKING_TREE:
        return (ROOT / path).read_text()
    return subprocess.run(
        ["git", "-C", str(ROOT), "show", f"{commit}:{path}"], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip


def rows(heading: str, first: str) -> list[list[str]]:
    """The rows of the table of a section whose first column has a name."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    (table,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", section, re.MULTILINE)
    return [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in table.splitlines()]


def code(cell: str) -> list[str]:
    """What stands in code in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def families(names: Iterable[str]) -> set[str]:
    """The names of metrics without what a counter adds."""
    return {name.partition("{")[0].removesuffix("_total") for name in names}


def exported() -> set[str]:
    """The metrics of the engine as it is."""
    return families(re.findall(r"^# TYPE (rulepack_\w+)", Metrics().text().decode(), re.MULTILINE))


def test_every_metric_that_is_renamed_is_in_the_table() -> None:
    """Each of 0.1 has its name still, or a row with a name that there is; the first two are exported under both."""
    table = [(code(old)[0], code(new)[0]) for old, new, _ in rows("Metrics", "in 0.1")]
    before = families(re.findall(r'"(rulepack_[a-z_]+)"', text("engine/manager/metrics.py", COMMIT)))
    renamed = families(old for old, new in table if families([old]) != families([new]))
    under_both = set(re.findall(r'Renamed\("(\w+)"', text("engine/operator/metrics.py")))

    assert renamed == (before - exported()) | under_both
    assert families(old for old, _ in table[:2]) == under_both
    assert under_both <= exported()
    assert families(new for _, new in table) <= exported() - under_both


def test_every_alert_that_is_renamed_is_in_the_table() -> None:
    """Each alert of 0.1 is there still, or has a row with one that is."""
    path = "config/monitoring/prometheus_rule.yaml"
    before, now = (set(re.findall(r"alert: (\w+)", text(path, commit))) for commit in (COMMIT, WORKING_TREE))
    table = [(code(old)[0], code(new)[0]) for old, new, _ in rows("Metrics", "alert in 0.1")]
    assert {old for old, _ in table} == before - now
    assert {new for _, new in table} <= now


def granted(role: str, commit: str = WORKING_TREE) -> set[Right]:
    """The rights of a role in config/rbac/role.yaml, by `Kind/name`; of one that is not there none."""
    documents: Any = yaml.safe_load_all(text("config/rbac/role.yaml", commit))
    return {
        right for each in documents if f"{each['kind']}/{each['metadata']['name']}" == role for right in rights(each["rules"])
    }  # fmt: skip


@pytest.mark.parametrize(
    ("role", "above"),
    [
        ("ClusterRole/rulepack", "In all namespaces that the operator watches:"),
        ("Role/rulepack", "In the operator's own namespace:"),
        ("ClusterRole/rulepack-reviews", "In no namespace, by the ClusterRole `rulepack-reviews`:"),
    ],
)
def test_every_new_right_is_in_its_table(role: str, above: str) -> None:
    """No more and no fewer than config/rbac has beside those of 0.1."""
    (table,) = re.findall(rf"^{re.escape(above)}\n\n.*\n.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    listed = {
        (verb, "" if group.strip() == "core" else code(group)[0], resource)
        for _, group, resources, verbs, *_ in (line.split("|") for line in table.splitlines())
        for resource in code(resources)
        for verb in code(verbs)
    }
    assert listed == granted(role) - granted(role, COMMIT)


def test_every_default_of_an_option_that_has_changed_is_in_the_table() -> None:
    """By the reference of `rulepack run` in 0.1, and the options as they are."""
    (before,) = re.findall(r"^## run\n(.*?)(?=^## )", text("docs/reference/commands.md", COMMIT), re.M | re.S)
    options = [re.match(r"(--[a-z-]+).*?\[default:\s+([^;\]]+)", option, re.S) for option in re.split(r"\n  (?=-)", before)]
    old = {found[1]: found[2] for found in options if found}
    now = {option.opts[0]: str(option.default) for option in run.params if isinstance(option, Option)}
    changed = {name: default for name, default in old.items() if now[name] != default}
    table = {code(name)[0]: was for name, was, *_ in rows("Defaults", "setting") if name.startswith("`--")}

    assert len(old) >= 5
    assert {name: code(was)[0] for name, was in table.items() if name in old} == changed
    assert {name for name, was in table.items() if was == "none"} <= now.keys() - old.keys()


def test_every_param_of_a_shipped_pack_whose_default_has_changed_is_in_the_table() -> None:
    """Those of packs that 0.1 had; a param that is new is there if it changes what happens without it."""
    listed = [(code(name)[0], pack, was, new) for pack, name, was, new, _ in rows("Defaults", "pack")]
    for path in sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("rules/*/pack.yaml")):
        if path == "rules/rollouts/pack.yaml":
            continue
        before, now = (yaml.safe_load(text(path, commit))["spec"].get("params", {}) for commit in (COMMIT, WORKING_TREE))
        for param in before.keys() & now.keys():
            if before[param].get("default") != now[param].get("default"):
                pack = path.split("/")[1]
                assert [row for row in listed if row[0] == param and pack in row[1]], (pack, param)
    for param, pack, was, new in listed:
        if re.fullmatch(r"`\w+`", was) and new.startswith("`"):
            spec = f"rules/{pack}/pack.yaml"
            assert str(yaml.safe_load(text(spec, COMMIT))["spec"]["params"][param]["default"]) == code(was)[0]
            assert str(yaml.safe_load(text(spec))["spec"]["params"][param]["default"]) == code(new)[0]
