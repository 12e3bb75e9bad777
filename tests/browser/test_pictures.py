"""The pictures of docs/console.md: what a browser shows of the console while `rulepack demo --console` runs.

`make pictures` writes them to docs/pictures; without RULEPACK_PICTURES they are only tried.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, ViewportSize, async_playwright, expect

from engine import __version__
from tests.browser.packages import ARGUMENTS, chromium

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "docs" / "pictures"
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


@asynccontextmanager
async def demo() -> AsyncIterator[tuple[str, str]]:
    """Where a demo's console is once its script has ended, and the token to log in with."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "engine.cli", "demo", "--console", f"--feature-flags={AUDITED}",
        cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
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
    assert {path.name: path.stat().st_size for path in folder.glob("*.webp") if path.stat().st_size > LONGEST} == {}
    shown = set(re.findall(r"\(pictures/([\w-]+)\.webp\)", (CHECKOUT / "docs" / "console.md").read_text()))
    assert shown == PICTURES.keys() == {path.stem for path in FOLDER.glob("*.webp")}
