"""One Chromium for each test, and a console with something on every page."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.packages import ARGUMENTS, axe, chromium
from tests.unit.console.builder import BROKEN, HOSTILE, HTML, Console
from tests.unit.operator.test_operator import NAMESPACE

expect.set_options(timeout=30_000)  # milliseconds: a page is renewed every five seconds at least, later where the machine is busy


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `e2e` and `browser` whatever lies in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def axe_script() -> str:
    """axe-core."""
    return axe()


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """A console with firings that are done, failed and waiting, hostile texts, and a pack with a fault."""
    console = Console(tmp_path)
    await console.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
    await console.fixture.config_map("mine", {"broken.yaml": BROKEN}, pack=True)
    async with console.running():
        await console.widget("team-a", "fires")
        await console.widget("team-b", "hostile", 200, HOSTILE)
        await console.widget("team-a", "long", 30, HTML * 20_000)
        await console.widget("team-a", "waits", 50)
        await console.clock.advance(70)
        yield console


@pytest.fixture
async def browser(console: Console) -> AsyncIterator[Browser]:
    """A Chromium without anybody's profile, which ends before the console does."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=[*ARGUMENTS, *sandbox])
        yield browser
        await browser.close()
