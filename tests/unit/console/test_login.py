"""Logging in: whose token is good, how long the cookie lasts, and what nobody else gets."""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from engine.kube.faults import InjectedFault
from tests.unit.console.builder import ADMIN, NOBODY, Console, Page, jwt
from tests.unit.console.proxy import proxy
from tests.unit.operator.test_operator import ask

PAGES = ("", "packs", "pack?name=widgets", "activity", "no-such-page")


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that is not running yet."""
    return Console(tmp_path)


async def log_in(console: Console, token: str, **fields: str) -> Page:
    """What sending the form gives."""
    return await console.visit("login", method="POST", data={"token": token, **fields})


def cookie(page: Page) -> Any:
    """The cookie that an answer sets."""
    return SimpleCookie(page.headers["Set-Cookie"])["rulepack-token"]


async def test_whoever_is_not_logged_in_is_asked_to(console: Console) -> None:
    """Each page, those that do not exist too, redirects to the login by a relative reference, and says nothing else."""
    async with console.running():
        for page in PAGES:
            answer = await console.visit(page)
            assert (answer.status, answer.text) == (303, "")
            assert answer.headers["Location"].startswith("login?next=")
        login = await console.visit("login")
        assert (await console.visit("../console")).headers["Location"] == "console/"
    assert login.status == 200
    assert "kubectl create token" in login.text
    assert "widgets" not in login.text


async def test_a_token_becomes_a_cookie_that_no_script_and_no_other_site_has(console: Console) -> None:
    """HttpOnly, SameSite=Strict, Secure, for as long as the token says that it is good, and for the path of the page."""
    token = jwt(console.clock.time() + 3_600)
    console.cluster.users[token] = {"username": "admin"}
    async with console.running():
        answer = await log_in(console, f" {token[:10]}\n{token[10:]} ", next="pack?name=a%26b")
        page = await console.visit("", cookie(answer).value)
    assert (answer.status, answer.headers["Location"]) == (303, "pack?name=a%26b")
    kept = cookie(answer)
    assert kept.value == token
    assert (kept["httponly"], kept["samesite"], kept["secure"], kept["path"]) == (True, "Strict", True, "")
    assert 3_580 <= int(kept["max-age"]) <= 3_600
    assert page.status == 200


async def test_a_token_that_does_not_say_how_long_it_is_good_lasts_as_long_as_the_browser(console: Console) -> None:
    """Such as one of an OAuth proxy: no Max-Age."""
    async with console.running():
        assert cookie(await log_in(console, ADMIN))["max-age"] == ""


@pytest.mark.parametrize("token", ["", "nobody-knows-me", "x" * 4_001, "quite;long", "tökèn"])
async def test_no_other_token_is_taken(console: Console, token: str) -> None:
    """401 with the reason, no cookie, and the token is not repeated."""
    async with console.running():
        answer = await log_in(console, token)
    assert answer.status == 401
    assert 'role="alert"' in answer.text
    assert "Set-Cookie" not in answer.headers
    assert not token or token not in answer.text


async def test_an_expired_token_is_said_to_be_so(console: Console) -> None:
    """Within the 30 s for which answers are kept; the page that was asked for is opened after logging in again."""
    token = jwt(console.clock.time() + 60)
    console.cluster.users[token] = {"username": "admin"}
    async with console.running():
        assert (await console.visit("packs", token)).status == 200
        del console.cluster.users[token]
        await console.clock.advance(31)
        answer = await console.visit("packs", token)
        login = await console.visit(answer.headers["Location"])
        (event,) = await console.events("activity-stream?after=0", token, 1)
    assert answer.headers["Location"] == "login?next=packs&expired=1"
    assert "your token has expired" in login.text
    assert 'name="next" value="packs"' in login.text
    assert "event: ended" in event
    assert "Your session has ended" in event


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "javascript:alert(1)", "../x", "/packs", "logout", "activity-stream"]
)
async def test_no_other_place_is_opened_after_logging_in(console: Console, wanted: str) -> None:
    """Only pages of the console are."""
    async with console.running():
        assert (await log_in(console, ADMIN, next=wanted)).headers["Location"] == "./"


async def test_logging_out_removes_the_cookie(console: Console) -> None:
    """Max-Age 0, and the login page."""
    async with console.running():
        answer = await console.visit("logout", ADMIN, method="POST")
    assert (answer.headers["Location"], cookie(answer)["max-age"], cookie(answer).value) == ("login", "0", "")


async def test_a_proxy_may_send_the_token_in_a_header(console: Console) -> None:
    """Authorization: Bearer, as OAuth proxies pass it on; it goes before a cookie."""
    async with console.running():
        assert (await console.visit("packs", headers={"Authorization": f"Bearer {ADMIN}"})).status == 200
        assert (await console.visit("packs", ADMIN, headers={"Authorization": f"Bearer {NOBODY}"})).status == 403


async def test_nothing_but_logging_in_and_out_can_be_sent(console: Console) -> None:
    """405 for other methods; 403 where a browser says that another site sends the form; a form that is too long has no token."""
    async with console.running():
        assert (await console.visit("packs", ADMIN, method="POST")).status == 405
        assert (await console.visit("packs", ADMIN, method="DELETE")).status == 405
        assert (await console.visit("login", method="POST", headers={"Sec-Fetch-Site": "cross-site"})).status == 403
        assert (await log_in(console, ADMIN, next="x" * 20_000)).status == 401


async def test_each_answer_forbids_scripts_of_others_and_frames(console: Console) -> None:
    """The headers are the same everywhere: pages, redirects, faults, files and the stream."""
    async with console.running():
        answers = [
            await console.visit(page, ADMIN)
            for page in (*PAGES, "login", "static/console.css", "static/../app.py", "static/none")
        ]
        answers += [await console.visit(""), await log_in(console, "unknown")]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"


async def test_an_api_server_that_does_not_answer_is_503(console: Console) -> None:
    """Nobody is let in, and the message says why."""
    async with console.running():
        console.cluster.faults.add(InjectedFault(500, verb="create", kind="TokenReview"))
        answer = await console.visit("packs", ADMIN)
    assert answer.status == 503
    assert "does not say who you are" in answer.text


async def test_it_can_be_switched_off_and_is_never_served_by_plain_http(console: Console) -> None:
    """404 as for any other path, to whoever may ask."""
    async with console.running(console=False):
        answer = await console.visit("", headers={"Authorization": f"Bearer {ADMIN}"})
    assert answer.status == 404
    assert "only /metrics, /packs are answered here" in answer.text


async def test_plain_http_has_no_console(console: Console) -> None:
    """With --insecure-metrics: people would send their tokens by it."""
    async with console.running(insecure_metrics=True):
        status, _ = await ask(console.operator, "/console/login")
    assert status == 404


async def test_it_works_under_a_path_of_a_proxy(console: Console) -> None:
    """A proxy that passes on /ops/rules/… as /console/…: the cookie, redirects, pages, files and the form all stay below it."""
    jar = aiohttp.CookieJar(unsafe=True)  # keeps cookies of an address too
    async with console.running(), proxy(console, "/ops/rules") as url, aiohttp.ClientSession(cookie_jar=jar) as session:
        first = await session.get(url)
        assert str(first.url).startswith(f"{url}login?next=")
        page = await session.post(f"{url}login", data={"token": ADMIN, "next": "packs"})
        assert (page.status, str(page.url)) == (200, f"{url}packs")
        found = set(re.findall(r'(?:href|src|action)="([^"#]*)"', await page.text()))
        assert found >= {"./", "packs", "activity", "logout", "static/console.css"}
        for where in found - {"logout"}:
            answer = await session.get(page.url.join(URL(where)))
            assert (answer.status, str(answer.url).startswith(url), "login" in str(answer.url)) == (200, True, False), where
        (cookie,) = session.cookie_jar
        assert cookie["path"] == "/ops/rules"
        assert str((await session.post(f"{url}logout")).url) == f"{url}login"
        assert str((await session.get(f"{url}packs")).url).startswith(f"{url}login?next=packs")
