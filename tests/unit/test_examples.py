"""Examples that people copy: what each of them has to say, wherever it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.model.objects import Object, annotations_of, dig
from tests.world import APPLICATION, JOB, RULES, World, all_packs, job, named, trigger, triggers

ROOT = RULES.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted(RULES.glob("*/README.md")),
         *sorted((ROOT / "config").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]  # fmt: skip
FILES = sorted([*(ROOT / "examples").rglob("*.yaml"), *(ROOT / "config/samples").glob("*.yaml")])
HOOK, DELETION = "argocd.argoproj.io/hook", "argocd.argoproj.io/hook-delete-policy"
OPTIONS = "argocd.argoproj.io/sync-options"


def written(page: Path) -> Iterator[str]:
    """The pieces of YAML on a page."""
    yield from (match[1] for match in re.finditer(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL))


def objects(text: str) -> Iterator[Object]:
    """The objects that a text holds, and those that a part of it is about; what is no YAML by itself holds none."""
    try:
        found = list(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return
    yield from (one for one in found if isinstance(one, dict))


EVERY = [(page.relative_to(ROOT), one) for page in PAGES for text in written(page) for one in objects(text)]
EVERY += [(file.relative_to(ROOT), one) for file in FILES for one in objects(file.read_text())]


def about(kind: str) -> list[Any]:
    """The examples of a kind, each named by its file."""
    return [pytest.param(one, id=str(where)) for where, one in EVERY if one.get("kind") == kind]


@pytest.mark.parametrize("application", about("Application"))
def test_an_application_that_syncs_by_itself_trains_once_for_a_commit(application: Object) -> None:
    """Without `retry` Argo CD tries a failed automated sync five times more, and trains each time."""
    if dig(application, ("spec", "syncPolicy", "automated")) is not None:
        assert dig(application, ("spec", "syncPolicy", "retry", "limit")) == 0


def test_each_page_that_creates_a_job_anew_says_to_set_retry() -> None:
    """Where the Application is not part of the example, the page or the README beside it says so."""
    anew = {where for where, one in EVERY if {HOOK, OPTIONS} & set(annotations_of(one)) and one.get("kind") in (None, JOB.kind)}
    assert Path("docs/sync-waves.md") in anew
    assert Path("examples/end-to-end/after.yaml") in anew
    for where in anew:
        page = ROOT / where if where.suffix == ".md" else ROOT / where.parent / "README.md"
        assert "retry: {limit: 0}" in page.read_text(), where


@pytest.mark.parametrize("example", [pytest.param(one, id=str(where)) for where, one in EVERY if HOOK in annotations_of(one)])
def test_a_job_that_is_a_hook_keeps_its_last_run(example: Object) -> None:
    """BeforeHookCreation, never HookSucceeded: that takes the job away before anybody has read what came of it."""
    if example.get("kind") in (None, JOB.kind):
        assert annotations_of(example)[DELETION] == "BeforeHookCreation"


def test_each_page_that_replaces_a_job_says_the_risk_and_the_other_way_first() -> None:
    """Force=true,Replace=true takes the old job away in the background: the page says what that may do."""
    replacing = {where for where, one in EVERY if "Replace=true" in annotations_of(one).get(OPTIONS, "")}
    assert replacing
    for where in replacing:
        assert "has a risk" in (ROOT / where.parent / "README.md").read_text(), where
    page = (ROOT / "docs/sync-waves.md").read_text()
    assert page.index("BeforeHookCreation") < page.index("Force=true,Replace=true") < page.index("It has a risk")
    assert "`HookSucceeded` as the delete policy removes the job as soon as it has succeeded" in page


def preserved(page: str) -> set[str]:
    """The annotations that a page has an ApplicationSet keep."""
    (found,) = (one for text in written(ROOT / page) for one in objects(text) if dig(one, ("spec", "preservedFields")))
    return set(dig(found, ("spec", "preservedFields", "annotations")))


async def test_the_list_of_preserved_fields_has_all_that_packs_write_on_an_application() -> None:
    """Otherwise the ApplicationSet takes them away at each of its turns; both pages have the same list."""
    params = {"application-status": {"banner": True}}
    world = World(*all_packs(), params=params)
    here = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
    await world.create(named(APPLICATION, "app", "argocd", spec=here))
    asked = triggers(trigger(APPLICATION, "app", "sync"), trigger(APPLICATION, "app", "refresh"))
    for name, phase in (("good", "Succeeded"), ("bad", "Failed")):
        made = job(name, phase, asked)
        made["metadata"]["labels"] = {"app.kubernetes.io/part-of": "app"}
        await world.create(made)
    await world.settle(300, step=5)

    there = set(await world.annotations(APPLICATION, "app", "argocd")) - {"argocd.argoproj.io/refresh"}

    assert {"mlops.dev/synced-for", "mlops.dev/refreshed-at", "mlops.dev/notebook-status", "mlops.dev/failure-id"} <= there
    assert there - preserved("config/argocd/README.md") == set()
    assert preserved("docs/troubleshooting.md") == preserved("config/argocd/README.md")
    models = (RULES / "model-freshness/pack.yaml").read_text()
    assert {f"mlops.dev/model-{name}" for name in ("status", "summary") if f"mlops.dev/model-{name}" in models} <= preserved(
        "docs/troubleshooting.md"
    )
