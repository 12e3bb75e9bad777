"""The pictures of docs/console.md, docs/argocd-extension.md and docs/operating.md.

What a browser shows of the console while `rulepack demo --console` runs, of the extension on a page that offers what Argo
CD's does, and of the dashboard where Grafana's own components draw it.

`make pictures` writes them to docs/pictures. Without RULEPACK_PICTURES they are only tried, of the dashboard just the data: its
components take minutes to build.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from engine import __version__
from engine.model.objects import Kind, Object, Resource
from engine.operator.extension import parse_applications
from scripts.project import ROOT
from tests.browser import dashboard
from tests.browser.packages import ARGUMENTS, REACT, chromium
from tests.browser.test_extension import PANEL, TAB, through, ui
from tests.unit.console.builder import Console
from tests.unit.console.test_extension import with_proxy
from tests.world import RULES

FOLDER = ROOT / "docs" / "pictures"
AUDITED = "failure-notifications=Audit"
LONGEST = 80_000
"""Bytes of a picture."""
SIZE: ViewportSize = {"width": 1000, "height": 720}
JOB = "object?apiVersion=mlops.mlops.dev/v1alpha1&kind=NotebookValidationJob&namespace=self-healing-platform"
PICTURES: dict[str, tuple[str, Literal["light", "dark"]]] = {
    "console-overview": ("", "light"),
    "console-object": (f"{JOB}&name=anomaly-detector-validation&pack=sync-waves", "light"),
    "console-object-dark": (f"{JOB}&name=anomaly-detector-validation&pack=sync-waves", "dark"),
    "console-activity-dark": ("activity?live=off", "dark"),
    "console-audit": ("audit", "light"),
}
"""By name: which page, and in which colours."""
EXTENSION = {"argocd-tab": 720, "argocd-panel": 340}
"""By name: how high it is."""
BOARD = {"dashboard"}
STYLE = """
  body { font: 14px/1.4 sans-serif; color: #363c4a; background: #dee6eb; margin: 0; padding: 12px 16px }
  main > :is(h1, h2, h3), main > div:empty { display: none }
  main > div { background: #fff; border-radius: 4px; padding: 8px 12px; margin-bottom: 12px }
  button i::before { content: "..."; font-style: normal }
"""
"""Argo CD's own style sheet is no part of the page."""
SHIPPED = ("sync-waves", "failure-notifications")
NOTEBOOK_JOB = Resource(Kind("mlops.mlops.dev/v1alpha1", "NotebookValidationJob"), "notebookvalidationjobs", True)
APPLICATION = Resource(Kind("argoproj.io/v1alpha1", "Application"), "applications", True)
APPLICATIONS = parse_applications(
    "Argocd-Application-Name", "Application.argoproj.io/v1alpha1", "get(application, 'status.resources', [])"
)
SUMMARIES = {
    "mlops.dev/notebook-summary": "1/2 succeeded (50.00% success rate)",
    "mlops.dev/model-summary": "2/3 models fresh, 1 stale",
}


@asynccontextmanager
async def demo() -> AsyncIterator[tuple[str, str]]:
    """Where a demo's console is once its script has ended, and the token to log in with."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine.cli", "demo", "--console", f"--feature-flags={AUDITED}",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        printed = (await process.stdout.readuntil(b"Press Ctrl+C to end.\n")).decode()
        ((url, token),) = re.findall(r"Open (\S+)[^#]*token: (\w+)", printed)
        yield url, token
    finally:
        process.terminate()
        await process.communicate()


async def picture(page: Page) -> bytes:
    """What is to be seen, as WebP, which Playwright does not offer."""
    session = await page.context.new_cdp_session(page)
    found = await session.send("Page.captureScreenshot", {"format": "webp", "quality": 70})
    await session.detach()
    return base64.b64decode(found["data"])


async def test_the_pictures_of_the_docs_show_the_demo(tmp_path: Path) -> None:
    """Each is of a page of the console, small, without a version, and shown in the docs; none is there that nothing shows."""
    folder = FOLDER if os.environ.get("RULEPACK_PICTURES") else tmp_path
    folder.mkdir(exist_ok=True)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with demo() as (url, token), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, *sandbox])
        for name, (where, colours) in PICTURES.items():
            context = await browser.new_context(ignore_https_errors=True, color_scheme=colours, viewport=SIZE)
            page = await context.new_page()
            await page.goto(f"{url}/{where}")
            await page.get_by_label("Token", exact=True).fill(token)
            await page.get_by_role("button", name="Log in").click()
            await expect(page.get_by_role("button", name="Log out")).to_be_visible()
            await expect(page.locator("main section, main .firing").first).to_be_visible()
            if (details := page.locator(".firing details summary")) and await details.count():
                await details.first.click()
            await page.locator("footer").evaluate("footer => footer.remove()")  # it names the version: outdated at each release
            assert __version__ not in await page.content()
            (folder / f"{name}.webp").write_bytes(await picture(page))
            await context.close()
        await browser.close()
    assert_fit(folder, "console", PICTURES)


async def test_the_pictures_of_the_docs_show_the_extension(tmp_path: Path) -> None:
    """The tab of a job that failed, and the panel of its Application with what its button opens."""
    folder = FOLDER if os.environ.get("RULEPACK_PICTURES") else tmp_path
    folder.mkdir(exist_ok=True)
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    rules = tmp_path / "rules"
    rules.mkdir()
    console = with_proxy(Console(rules, "\n---\n".join((ROOT / "rules" / name / "pack.yaml").read_text() for name in SHIPPED)))
    for resource in (NOTEBOOK_JOB, APPLICATION):
        console.cluster.register(resource)
    async with console.running(applications=APPLICATIONS), async_playwright() as playwright:
        application = await platform(console)
        job = await console.cluster.get(NOTEBOOK_JOB, "team-a", "train-churn")
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, *sandbox])
        async with ui(browser, max(REACT), through(console)) as page:
            await page.add_style_tag(content=STYLE)
            for name, height in EXTENSION.items():
                await page.set_viewport_size({**SIZE, "height": height})
                if name == "argocd-tab":
                    await page.evaluate(
                        TAB, [{**job, "apiVersion": NOTEBOOK_JOB.kind.api_version, "kind": NOTEBOOK_JOB.kind.kind}, application]
                    )
                else:
                    await page.evaluate("document.getElementById('tab').remove()")
                    await page.evaluate(PANEL, application)
                    await page.get_by_role("button", name="What rules do").click()
                await expect(page.locator("main")).to_contain_text("sync-waves/wave-failed")
                (folder / f"{name}.webp").write_bytes(await picture(page))
        await browser.close()
    assert_fit(folder, "argocd-extension", EXTENSION)


async def test_the_picture_of_the_docs_shows_the_dashboard(tmp_path: Path) -> None:
    """An hour of an operator at work, and something in each panel."""
    taken = bool(os.environ.get("RULEPACK_PICTURES"))
    hour = dashboard.Hour(tmp_path) if taken else dashboard.Hour(tmp_path, RULES / "sync-waves")  # all are read in seconds
    await hour.pass_by(dashboard.LEAST + (3600 if taken else dashboard.LEAST))
    what = await asyncio.to_thread(dashboard.answers, tmp_path, hour)
    assert all(result for results in what["answers"].values() for result in results)
    if taken:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, *sandbox])
            async with dashboard.drawn(browser, what) as page:
                (FOLDER / "dashboard.webp").write_bytes(await picture(page))
                shown = {"sha256": dashboard.digest(), "text": (await page.locator("main").inner_text()).splitlines()}
                dashboard.SHOWN.write_text(json.dumps(shown, indent=2) + "\n")
            await browser.close()
    assert_fit(FOLDER, "operating", BOARD)


async def platform(console: Console) -> Object:
    """An Application of two notebook jobs, one of which has failed; as Argo CD's UI has it."""
    ends = {"completionTime": "2026-11-29T10:00:00Z", "message": "cell 7: ValueError: found 12 empty labels"}
    for name, phase in (("train-churn", "Failed"), ("prepare-data", "Succeeded")):
        job = {"metadata": {"name": name, "namespace": "team-a", "annotations": {"argocd.argoproj.io/sync-wave": "2"}}}
        kind = {"apiVersion": NOTEBOOK_JOB.kind.api_version, "kind": NOTEBOOK_JOB.kind.kind}
        await console.cluster.create(NOTEBOOK_JOB, "team-a", {**kind, **job, "spec": {}, "status": {"phase": "Running"}})
        await console.clock.advance(5)
        await console.cluster.patch(NOTEBOOK_JOB, "team-a", name, {"status": {"phase": phase, **ends}})
        await console.clock.advance(5)
    parts = [
        {"group": "mlops.mlops.dev", "kind": NOTEBOOK_JOB.kind.kind, "namespace": "team-a", "name": name}
        for name in ("train-churn", "prepare-data")
    ]
    application = {
        "apiVersion": APPLICATION.kind.api_version, "kind": APPLICATION.kind.kind, "spec": {"project": "default"},
        "metadata": {"name": "app", "namespace": "team-a", "annotations": SUMMARIES}, "status": {"resources": parts},
    }  # fmt: skip
    return await console.cluster.create(APPLICATION, "team-a", application)


def assert_fit(folder: Path, page: str, pictures: Collection[str]) -> None:
    """Pictures are small, and those that a page of the docs shows; none is there that nothing shows."""
    assert {name for name in pictures if (folder / f"{name}.webp").stat().st_size > LONGEST} == set()
    shown = set(re.findall(r"\(pictures/([\w-]+)\.webp\)", (ROOT / "docs" / f"{page}.md").read_text()))
    assert shown == set(pictures)
    assert {path.stem for path in FOLDER.glob("*.webp")} == {*PICTURES, *EXTENSION, *BOARD}
