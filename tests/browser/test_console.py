"""The console in a real browser: logging in, every page, live updates, the keyboard, two widths, and axe's rules."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from scripts.vendor import STATIC, member, record, tarball
from tests.browser.packages import CACHE
from tests.unit.console.builder import ADMIN, NOBODY, PACK, TEAM, Console, jwt
from tests.unit.console.proxy import proxy
from tests.unit.operator.test_operator import CONFIG_MAP, WIDGET

OBJECT = "object?apiVersion=example.com/v1&kind=Widget"
PAGES = {
    "overview": "", "packs": "packs", "pack": "pack?name=widgets", "activity": "activity", "objects": "objects",
    "object": f"{OBJECT}&namespace=team-a&name=waits", "hostile": f"{OBJECT}&namespace=team-b&name=hostile",
    "1 MB": f"{OBJECT}&namespace=team-a&name=long", "audit": "audit", "nothing": "no-such-page",
}  # fmt: skip
USUAL = ("(Unauthorized)", "(Forbidden)", "(Not Found)", "[object Event]")
"""What Chromium says of each such answer, and htmx when a stream ends, which is when it asks again."""
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}


@asynccontextmanager
async def tab(browser: Browser, **options: Any) -> AsyncIterator[Page]:
    """A tab of a new profile; what its console says, and what its pages throw, fails the test."""
    context = await browser.new_context(ignore_https_errors=True, **{**WIDE, **options})
    page, wrong = await context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    yield page
    await context.close()
    assert [text for text in wrong if not text.endswith(USUAL)] == []


async def log_in(page: Page, console: Console, token: str = ADMIN, where: str = "") -> None:
    """Open a page, and log in as the form asks."""
    await page.goto(console.url + where)
    await page.get_by_label("Token", exact=True).fill(token)
    await page.get_by_role("button", name="Log in").click()


async def violations(page: Page, script: str) -> list[str]:
    """What axe finds, best practices included. It is put in by the browser's own debugger, which no policy keeps out."""
    session = await page.context.new_cdp_session(page)
    await session.send("Runtime.evaluate", {"expression": script})
    found = await session.send("Runtime.evaluate", {
        "expression": "axe.run(document).then(result => JSON.stringify(result.violations.map(each => "
        "`${each.id}: ${each.nodes.map(node => node.html).slice(0, 3).join(' ')}`)))",
        "awaitPromise": True, "returnByValue": True,
    })  # fmt: skip
    await session.detach()
    text: str = found["result"]["value"]
    return [] if text == "[]" else [text]


@pytest.mark.parametrize("options", [WIDE, PHONE], ids=["wide and light", "phone and dark"])
async def test_axe_finds_nothing_and_nothing_sticks_out(
    browser: Browser, console: Console, axe_script: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """On every page, with what is folded opened, and on the login with a fault; no page is wider than the screen."""
    async with tab(browser, **options) as page:
        await log_in(page, console, "unknown")
        await expect(page.get_by_role("alert")).to_contain_text("does not know this token")
        assert await violations(page, axe_script) == []
        await log_in(page, console)
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        for name, where in PAGES.items():
            await page.goto(console.url + where)
            for details in await page.locator("summary").all():
                await details.click()
            assert await violations(page, axe_script) == [], name
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            await page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        await page.goto(console.url + "packs")
    async with tab(browser, **options) as page:
        await log_in(page, console, NOBODY, "packs")
        await expect(page.get_by_text("You may not see the rule packs")).to_be_visible()
        assert await violations(page, axe_script) == []


async def test_firings_appear_and_change_by_themselves(browser: Browser, console: Console, axe_script: str) -> None:
    """A new one comes first; one that goes on takes its own place; paused, and without JavaScript, none come."""
    async with tab(browser) as page, tab(browser) as paused, tab(browser, java_script_enabled=False) as plain:
        await log_in(page, console, where="activity?rule=mark")
        await log_in(paused, console, where="activity?live=off")
        await log_in(plain, console, where="activity")
        await expect(page.locator(".firing")).not_to_have_count(0)
        await console.widget("team-a", "new", 40)
        await expect(page.locator(".firing").first).to_contain_text("Widget team-a/new")
        assert await violations(page, axe_script) == []
        for other in (paused, plain):
            await expect(other.get_by_role("heading", name="Activity")).to_be_visible()
            await expect(other.locator("main")).not_to_contain_text("Widget team-a/new")
        await plain.reload()
        await expect(plain.locator(".firing").first).to_contain_text("Widget team-a/new")


async def test_a_firing_that_goes_on_is_replaced_in_its_place(browser: Browser, console: Console) -> None:
    """And there are never two of it, nor more than fifty in all."""
    async with tab(browser) as page:
        await log_in(page, console, where="activity")
        waits = page.locator(".firing", has_text="widgets/wait")
        before = await waits.locator("p").inner_text()
        await console.widget("team-a", "after")
        await console.clock.advance(60)
        await expect(waits.locator("p")).not_to_have_text(before)
        await expect(waits).to_have_count(1)
        await expect(page.locator(".firing").first).to_contain_text("Widget team-a/after")
        for number in range(60):
            await console.widget("team-a", f"more-{number}")
        await expect(page.locator(".firing").first).to_contain_text("more-59")
        await expect(page.locator(".firing")).to_have_count(50)


async def test_the_stream_goes_on_after_it_ended(browser: Browser, console: Console) -> None:
    """The browser asks again, and nothing is lost in between nor shown twice."""
    async with tab(browser) as page:
        await log_in(page, console, where="activity")
        await expect(page.locator(".firing")).not_to_have_count(0)
        async with page.expect_response(re.compile("activity-stream"), timeout=60_000):
            await console.widget("team-a", "before")
            await expect(page.locator(".firing", has_text="team-a/before")).to_have_count(1)
        await expect(page.locator(".firing", has_text="team-a/before")).to_have_count(1)
        await console.widget("team-a", "afterwards")
        await expect(page.locator(".firing", has_text="team-a/afterwards")).to_have_count(1)
        await expect(page.locator(".firing", has_text="team-a/before")).to_have_count(1)


async def test_news_of_an_object_leave_what_the_reader_is_at(browser: Browser, console: Console, axe_script: str) -> None:
    """What is unfolded, scrolled, typed and has the focus stays, while the values of the conditions change."""
    audited = PACK.replace("{name: widgets}", "{name: audited}").replace("spec:\n", "spec:\n  mode: Audit\n", 1)
    audited = audited.replace("example.com/mark", "example.com/would-mark")
    await console.fixture.config_map("audited", {"pack.yaml": audited}, pack=True)
    await console.clock.advance(5)
    async with tab(browser) as page:
        await log_in(page, console, where=PAGES["object"])
        rule = page.locator("#rule-widgets-mark")
        await expect(rule).to_contain_text("object.spec.size = 50")
        unfolded = page.locator("#part details").first
        await unfolded.locator("summary").click()
        await unfolded.locator("summary").focus()
        await page.evaluate("scrollTo(0, 120)")
        await page.get_by_label("Rule", exact=True).evaluate("each => { each.value = 'half a wo' }")
        await page.locator("#part").evaluate("each => { each.querySelector('.rule').dataset.old = 'yes' }")
        await console.cluster.patch(WIDGET, "team-a", "waits", {"spec": {"size": 51}})
        await console.clock.advance(2)
        await expect(rule).to_contain_text("object.spec.size = 51")
        assert await page.locator("[data-old]").count() == 0
        await expect(unfolded).to_have_attribute("open", "")
        await expect(unfolded.locator("summary")).to_be_focused()
        assert await page.evaluate("scrollY") == 120
        await expect(page.get_by_label("Rule", exact=True)).to_have_value("half a wo")
        assert await violations(page, axe_script) == []


async def test_a_search_follows_objects_that_come(browser: Browser, console: Console) -> None:
    """The link that has the focus keeps it, though another row stands there now; a form that is typed in is not replaced."""
    async with tab(browser) as page, tab(browser, java_script_enabled=False) as plain:
        await log_in(page, console, where="objects")
        await log_in(plain, console, where="objects")
        await page.get_by_role("link", name="waits").focus()
        await console.widget("team-a", "another")
        await expect(page.get_by_role("link", name="another")).to_be_visible()
        await expect(page.get_by_role("link", name="waits")).to_be_focused()
        await page.get_by_label("Name", exact=True).focus()
        await page.keyboard.type("ano")
        await console.widget("team-a", "one-more")
        await expect(page.get_by_role("link", name="one-more")).to_be_visible()
        await page.keyboard.type("ther")
        await expect(page.get_by_label("Name", exact=True)).to_have_value("another")
        await expect(plain.get_by_role("heading", name="Objects")).to_be_visible()
        assert await plain.get_by_role("link", name="one-more").count() == 0
        await page.get_by_role("link", name="Pause").click()
        await console.widget("team-a", "unseen")
        await page.wait_for_timeout(2_000)
        assert await page.get_by_role("link", name="unseen").count() == 0


async def test_everything_works_below_a_path_of_a_proxy(browser: Browser, console: Console) -> None:
    """Log in, every page with its style and scripts, forms, links, news and logging out; nothing is asked for outside of it."""
    async with proxy(console, "/rulepack") as url, tab(browser) as page:
        asked = list[str]()
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{url}objects")
        await page.get_by_label("Token", exact=True).fill(ADMIN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page).to_have_url(f"{url}objects")
        await expect(page.get_by_role("link", name="waits")).to_be_visible()
        await console.widget("team-a", "behind")
        await page.get_by_role("link", name="behind").click()
        await expect(page.get_by_role("heading", name="Widget team-a/behind")).to_be_visible()
        await page.get_by_label("Rule", exact=True).fill("mark")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator(".rule")).to_have_count(1)
        for name in ("Packs", "Audit", "Overview", "Activity"):
            await page.get_by_role("navigation").get_by_role("link", name=name).click()
            await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
            await page.wait_for_load_state()
            assert await page.evaluate("document.styleSheets[0].cssRules.length") > 10
        await console.widget("team-a", "news")
        await expect(page.locator(".firing").first).to_contain_text("Widget team-a/news")
        (cookie,) = await page.context.cookies()
        assert cookie["path"] == "/rulepack"
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        assert [each for each in asked if not each.startswith(url)] == []


async def test_everything_is_done_with_the_keyboard(browser: Browser, console: Console) -> None:
    """Log in, skip to the content, go to a page, filter, open what is folded, log out; what has the focus can be seen."""
    async with tab(browser) as page:
        await page.goto(console.url + "activity")
        await expect(page.get_by_label("Token", exact=True)).to_be_focused()
        await page.keyboard.insert_text(ADMIN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Activity")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Pack")).to_be_focused()
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        await page.keyboard.type("widg")
        await page.keyboard.press("Tab")
        await page.keyboard.type("mark")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"pack=widg&rule=mark"))
        await expect(page.locator(".firing")).to_have_count(4)
        await page.locator("summary").first.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("details[open] pre")).to_be_visible()
        await page.get_by_role("button", name="Log out").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await page.go_back()
        await page.reload()
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_a_viewer_without_rights_sees_their_own_namespace_only(browser: Browser, console: Console) -> None:
    """Also of what happens while they look."""
    async with tab(browser) as page:
        await log_in(page, console, TEAM, "activity")
        await expect(page.locator(".firing").first).to_contain_text("team-a")
        await console.widget("team-b", "theirs")
        await console.widget("team-a", "ours")
        await expect(page.locator(".firing").first).to_contain_text("Widget team-a/ours")
        assert "team-b" not in await page.content()
        await page.goto(console.url)
        await expect(page.get_by_text("You may not see the rule packs")).to_be_visible()
        assert "team-b" not in await page.content()


async def test_a_token_that_expires_ends_the_news_and_says_so(browser: Browser, console: Console) -> None:
    """Within a minute, on the page itself; loading it again asks for another token, and then opens it."""
    token = jwt(console.clock.time() + 3_600)
    console.cluster.users[token] = {"username": "admin"}
    async with tab(browser) as page:
        await log_in(page, console, token, "activity?rule=mark")
        await expect(page.locator(".firing")).not_to_have_count(0)
        del console.cluster.users[token]
        await console.clock.advance(31)
        await expect(page.get_by_role("status")).to_contain_text("Your session has ended", timeout=60_000)
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("your token has expired")
        await page.get_by_label("Token", exact=True).fill(ADMIN)
        await page.get_by_role("button", name="Log in").click()
        await expect(page).to_have_url(re.compile(r"activity\?rule=mark$"))


async def test_nothing_hostile_runs(browser: Browser, console: Console) -> None:
    """No script of an object, no picture, no style; `tab` fails where one speaks, and where the policy had to keep one out."""
    async with tab(browser) as page:
        await log_in(page, console)
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        for where in PAGES.values():
            await page.goto(console.url + where)
            assert await page.locator("main script, main img, main style, main [onerror]").count() == 0
        await page.goto(console.url + "activity")
        await expect(page.locator(".firing", has_text="<script>alert(1)</script>")).not_to_have_count(0)


async def test_an_object_is_found_and_explained_by_keyboard_and_without_javascript(browser: Browser, console: Console) -> None:
    """Search, choose, and read why a rule does not fire; then filter its rules."""
    async with tab(browser, java_script_enabled=False) as page:
        await log_in(page, console, where="objects")
        await page.get_by_label("Name", exact=True).focus()
        await page.keyboard.type("wait")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(r"name=wait$"))
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.get_by_role("link", name="waits").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Widget team-a/waits")).to_be_visible()
        await expect(page.locator(".rule", has_text="refuse")).to_contain_text("when[1] is false: object.spec.size > 100")
        await expect(page.locator(".rule", has_text="refuse")).to_contain_text("object.spec.size = 50")
        await expect(page.locator(".rule")).to_have_count(3)
        await page.get_by_label("Rule", exact=True).focus()
        await page.keyboard.type("mark")
        await page.keyboard.press("Enter")
        await expect(page.locator(".rule")).to_have_count(1)


async def test_what_packs_in_audit_would_do_is_shown_with_its_differences(
    browser: Browser, console: Console, axe_script: str
) -> None:
    """Wide and on a phone, axe finds nothing, and the command that enforces the pack is there to be copied."""
    flags = {"metadata": {"name": "rulepack-feature-flags"}, "data": {"widgets": "Audit"}}
    await console.cluster.create(CONFIG_MAP, "system", flags)
    await console.clock.advance(5)
    await console.widget("team-a", "audited")
    for options in (WIDE, PHONE):
        async with tab(browser, **options) as page:
            await log_in(page, console, where="audit")
            rule = page.locator(".rule", has_text="mark")
            await expect(rule).to_contain_text("Would have fired")
            for details in await page.locator("summary").all():
                await details.click()
            await expect(page.locator(".firing.audited", has_text="team-a/audited").locator("pre").first).to_be_visible()
            await expect(page.locator("pre", has_text="kubectl patch configmap rulepack-feature-flags")).to_be_visible()
            assert await violations(page, axe_script) == []
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_scripts_are_those_of_their_packages() -> None:
    """Byte for byte, in the versions that are recorded, under licences that allow it."""
    for package in record():
        path = tarball(package["package"], package["version"], CACHE)
        assert package["licence"] == "0BSD"
        assert b"Permission to use, copy, modify, and/or distribute this software" in member(path, "LICENSE")
        for file in package["files"]:
            data = (STATIC / file["file"]).read_bytes()
            assert data == member(path, file["from"])
            assert hashlib.sha256(data).hexdigest() == file["sha256"]
