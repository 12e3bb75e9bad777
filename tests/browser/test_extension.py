"""The extension of Argo CD's UI in a real browser, with each React that Argo CD ships, before a real operator."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Page, Route, expect

from engine.model.objects import Object
from engine.operator.extension import parse_applications
from scripts.project import ROOT
from tests.browser.packages import REACT, react
from tests.browser.test_console import violations
from tests.controlplane import argocd
from tests.controlplane.versions import ARGOCD
from tests.unit.console.builder import BROKEN, HOSTILE, HTML, Console
from tests.unit.console.test_extension import OWN, PROXY, application, with_proxy
from tests.unit.operator.test_operator import NAMESPACE, WIDGET

SCRIPT = ROOT / "config/argocd/extension/base/extension-rulepack.js"
URL = "http://argocd.example.com/some/base/"
APPLICATIONS = parse_applications("Argocd-Application-Name", "Widget.example.com/v1", "get(application, 'spec.parts', [])")
PAGE = """\
<!doctype html><html lang="en"><head><title>Argo CD</title><base href="/some/base/"></head>
<body><main><h1>Argo CD</h1><h2>Panel</h2><div id="panel"></div>
<h2>Tab</h2><h3>Rules</h3><div id="tab"></div><div id="flyout"></div></main></body></html>
"""
#: What Argo CD's page offers to extensions, and what `require` gives to React's own files where these are no scripts for a page.
HOST = """\
((sources) => {
  const loaded = {};
  const require = (name) => {
    if (!loaded[name]) {
      const module = (loaded[name] = {exports: {}});
      const run = new Function('module', 'exports', 'require', 'process', sources[name]);
      run(module, module.exports, require, {env: {NODE_ENV: 'development'}});
    }
    return loaded[name].exports;
  };
  if (sources['react-dom/client']) {
    window.React = require('react');
    const roots = new Map();
    window.mount = (element, where) => {
      const root = roots.get(where) || require('react-dom/client').createRoot(document.getElementById(where));
      roots.set(where, root);
      root.render(element);
    };
  } else {
    for (const name of ['react', 'react-dom']) {
      new Function(sources[name]).call(window);
    }
    window.mount = (element, where) => window.ReactDOM.render(element, document.getElementById(where));
  }
  window.tabs = [];
  window.panels = [];
  window.extensionsAPI = {
    registerResourceExtension: (component, group, kind, title, options) =>
      window.tabs.push({component, group, kind, title, options}),
    registerStatusPanelExtension: (component, title, id, flyout) => window.panels.push({component, title, id, flyout}),
  };
})"""
TAB = """\
([resource, application]) =>
  mount(React.createElement(tabs[0].component, {resource, application, tree: {nodes: []}}), 'tab')"""
PANEL = """\
(application) => mount(React.createElement(panels[0].component, {application, openFlyout: () => {
  mount(React.createElement(panels[0].flyout, {application, tree: {nodes: []}}), 'flyout');
}}), 'panel')"""

Proxy = Callable[[Route], Any]


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """An operator that vouches for team-a/app, which has a widget that fired and waits, a hostile one and one that is refused."""
    console = with_proxy(Console(tmp_path))
    await console.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
    await console.fixture.config_map("owned", {"broken.yaml": BROKEN}, pack=True)
    async with console.running(applications=APPLICATIONS):
        for name, size, note in (("w", 50, "plain"), ("hostile", 200, HOSTILE), ("long", 30, HTML * 20_000)):
            await console.widget("team-a", name, size, note)
        await console.clock.advance(70)
        await application(console, *({**OWN, "name": name} for name in ("w", "hostile", "long")))
        yield console


def through(console: Console) -> Proxy:
    """What Argo CD's API server does with a request: it takes its own prefix off, and adds the token of the proxy."""

    async def proxy(route: Route) -> None:
        request = route.request
        path = request.url.removeprefix(f"{URL}extensions/rulepack")
        headers = {"Authorization": PROXY, "Argocd-Application-Name": request.headers["argocd-application-name"]}
        url = f"https://127.0.0.1:{console.operator.server.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=False) as answer:
            await route.fulfill(status=answer.status, body=await answer.text(), content_type="application/json")

    return proxy


@asynccontextmanager
async def ui(browser: Browser, version: str, proxy: Proxy) -> AsyncIterator[Page]:
    """A page as Argo CD's, with this React; what its console warns of, and what it throws, fails the test."""
    context = await browser.new_context()
    page, wrong = await context.new_page(), list[str]()
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    await page.clock.install()
    await page.route(URL, lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    await page.route(f"{URL}extensions/**", proxy)
    await page.goto(URL)
    await page.evaluate(f"{HOST}({json.dumps(react(version))})")
    await page.add_script_tag(content=SCRIPT.read_text())
    yield page
    await context.close()
    assert [text for text in wrong if not text.startswith("Failed to load resource")] == []


def app(**annotations: str) -> Object:
    """The application as Argo CD's UI has it."""
    return {"metadata": {"namespace": "team-a", "name": "app", "annotations": annotations}, "spec": {"project": "default"}}


async def shown(page: Page, console: Console, name: str) -> None:
    """Open the tab of a widget."""
    resource = await console.cluster.get(WIDGET, "team-a", name)
    await page.evaluate(TAB, [{**resource, "apiVersion": "example.com/v1", "kind": "Widget"}, app()])


@pytest.fixture(params=REACT)
def version(request: pytest.FixtureRequest) -> str:
    """A version of React that an Argo CD ships."""
    return str(request.param)


def test_the_react_of_these_tests_is_that_of_argo_cd() -> None:
    """Of the version that the tests run."""
    (lock,) = (path for name in ("pnpm-lock.yaml", "yarn.lock") if (path := argocd.source() / "ui" / name).exists())
    shipped = {
        "3.2": re.compile(r'^react@[^\n]*\n  version "(.*)"', re.MULTILINE),
        "3.5": re.compile(r"^      react:\n.*\n +version: (\S+)", re.MULTILINE),
    }[ARGOCD.asked or ARGOCD.default].findall(lock.read_text())  # fmt: skip
    assert shipped[0] in REACT


async def test_the_tab_says_why_a_rule_acts_or_does_not(
    browser: Browser, console: Console, version: str, axe_script: str
) -> None:
    """With its conditions and their values, what it waits for, and what it did; on each kind, under the title Rules."""
    async with ui(browser, version, through(console)) as page:
        tabs = await page.evaluate("tabs.map(({group, kind, title, options}) => [group, kind, title, options.icon])")
        assert tabs == [["**", "*", "Rules", "fa-gavel"]]
        await shown(page, console, "w")
        mark = page.locator("article", has_text="Note what is big.")
        await expect(mark).to_contain_text("It does not fire: already fired for plain")
        await expect(mark.get_by_label("Conditions")).to_contain_text("object.spec.size > 10 true")
        await expect(mark.get_by_label("Conditions")).to_contain_text("object.spec.size = 50")
        waits = page.locator("article", has_text="waits since")
        await expect(waits).to_contain_text(
            "Waits: (hidden: you may not get all that the rule reads)"
        )  # a ConfigMap outside of it
        firings = page.get_by_label("Firings")
        await expect(firings).to_contain_text("widgets/mark done")
        await expect(firings).to_contain_text("patch done: an object outside this Application")
        assert await violations(page, axe_script) == []


async def test_what_is_shown_follows_the_operator(browser: Browser, console: Console, version: str) -> None:
    """By itself, and at once when another resource is chosen."""
    async with ui(browser, version, through(console)) as page:
        await shown(page, console, "w")
        firings = page.get_by_label("Firings")
        await expect(firings.locator("> li")).to_have_count(2)
        await console.cluster.patch(WIDGET, "team-a", "w", {"spec": {"note": "another"}})
        await console.clock.advance(5)
        await page.clock.fast_forward(11_000)
        await expect(firings.locator("> li")).to_have_count(3)
        await shown(page, console, "hostile")
        await expect(page.locator("article", has_text="already fired for plain")).to_have_count(0)
        await expect(firings).to_contain_text("widgets/refuse refused")


async def test_nothing_hostile_runs(browser: Browser, console: Console, version: str) -> None:
    """No script of an object, no picture; 1 MB of it is cut. `ui` fails where one speaks."""
    async with ui(browser, version, through(console)) as page:
        for name in ("hostile", "long"):
            await shown(page, console, name)
            await expect(page.get_by_label("Firings")).to_contain_text("widgets/mark")
            for details in await page.locator("summary").all():
                await details.click()
            await expect(page.locator("#tab")).to_contain_text("<script>")
            assert await page.locator("main script, main img, main style, main [onerror]").count() == 0
            assert await page.evaluate("document.getElementById('tab').innerText.length") < 100_000


async def test_the_panel_has_the_counts_and_what_packs_wrote(
    browser: Browser, console: Console, version: str, axe_script: str
) -> None:
    """In one item of Argo CD's panel; its button opens the counts of each rule and what waits."""
    summaries = {"mlops.dev/notebook-summary": f"30/32 succeeded {HTML}", "mlops.dev/model-summary": "2/3 models fresh, 1 stale"}
    async with ui(browser, version, through(console)) as page:
        assert await page.evaluate("panels.map(({title, id}) => [title, id])") == [["Rules", "rulepack"]]
        await page.evaluate(PANEL, app(**summaries))
        panel = page.locator(".application-status-panel__item")
        for text in ("Notebooks: 30/32 succeeded", "Models: 2/3 models fresh, 1 stale", "2 acted", "2 failed", "1 waiting"):
            await expect(panel).to_contain_text(text)
        await panel.get_by_role("button", name="What rules do").click()
        row = page.get_by_role("row", name="widgets/mark")
        await expect(row).to_have_text(re.compile(r"^widgets/mark21$"))
        await expect(page.locator("#flyout")).to_contain_text("widgets/wait with 1 item for TargetNotReady")
        assert await page.locator("main script, main img").count() == 0
        assert await violations(page, axe_script) == []


async def test_a_standby_is_passed_over(browser: Browser, console: Console, version: str) -> None:
    """Another replica is asked for."""
    asked = list[str]()

    async def proxy(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) > 3:
            await through(console)(route)
        else:
            await route.fulfill(status=503, body='{"standby": true, "error": "it stands by"}', content_type="application/json")

    async with ui(browser, version, proxy) as page:
        await shown(page, console, "w")
        await page.clock.run_for(1_000)
        await expect(page.get_by_label("Firings")).to_contain_text("widgets/mark")
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 401, "body": "Unauthorized extension request"}, 'You need "extensions, invoke, rulepack, allow"'),
        ({"status": 404, "body": "Extension not found"}, 'Argo CD does not know the extension "rulepack"'),
        ({"status": 502, "body": ""}, "cannot reach the operator, or does not trust its certificate"),
        ({"status": 403, "body": '{"error": "it is <b>none</b> of its resources"}'}, "it is <b>none</b> of its resources"),
        ({"status": 500, "body": "<html>oops"}, "500: <html>oops"),
    ],
)
async def test_what_goes_wrong_is_said(
    browser: Browser, console: Console, version: str, answer: Mapping[str, Any], message: str
) -> None:
    """In the tab with what to do; in the panel, whose page ends with whatever is thrown there, in two words."""
    async with ui(browser, version, lambda route: route.fulfill(**answer)) as page:
        await shown(page, console, "w")
        await expect(page.get_by_role("alert")).to_contain_text(message)
        await page.evaluate(PANEL, {"metadata": {"namespace": "team-a", "name": "app"}})
        await expect(page.locator(".application-status-panel__item")).to_contain_text("not known")


async def test_the_tab_is_for_applications_themselves_too(browser: Browser, console: Console, version: str) -> None:
    """Argo CD's UI gives them no kind of their own; ApplicationSets have no project that could be asked about."""
    asked = list[str]()

    async def proxy(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(status=200, body='{"watched": false, "packs": [], "firings": []}', content_type="application/json")

    async with ui(browser, version, proxy) as page:
        await page.evaluate("(app) => (([resource]) => (" + TAB + ")([resource, resource]))([app])", app())
        await expect(page.locator("#tab")).to_contain_text("No rule pack watches objects of this kind.")
        generated = {**app(), "spec": {"generators": []}}
        await page.evaluate(TAB, [{**generated, "status": {}}, generated])
        await expect(page.locator("#tab")).to_contain_text("Rules are shown of the resources of an Application.")
    assert asked == [f"{URL}extensions/rulepack/extension/object?group=argoproj.io&kind=Application&namespace=team-a&name=app"]
