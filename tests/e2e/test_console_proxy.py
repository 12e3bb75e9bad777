"""The console behind the real nginx and the real oauth2-proxy, with the configuration of docs/console.md."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from engine.kube.sessions import left_at_any_time
from engine.operator.requestheader import RequestHeader
from tests.controlplane.gobuild import Say
from tests.controlplane.oauth2_proxy import program
from tests.controlplane.processes import Processes, free_ports
from tests.unit.console.authority import Authority
from tests.unit.console.builder import Console
from tests.world import RULES

DOCUMENT = RULES.parent / "docs/console.md"
TRUSTED = ("X-Auth-Request-User",), ("X-Auth-Request-Groups",)
#: sha1 of the password `secret`, as htpasswd -s writes it.
PASSWORDS = "".join(f"{user}:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n" for user in ("admin", "nobody"))


class Proxy:
    """nginx and oauth2-proxy in front of a console, and one browser."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self._session = url, session

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        """The status, where a redirect leads, and the text."""
        async with self._session.get(self.url + path, headers=headers, ssl=False, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def log_in(self, user: str) -> str:
        """Fill in oauth2-proxy's form; where it leads then."""
        form = {"username": user, "password": "secret", "rd": "/rulepack/packs"}
        async with self._session.post(f"{self.url}/oauth2/sign_in", data=form, ssl=False, allow_redirects=False) as answer:
            assert answer.status == HTTPStatus.FOUND, await answer.text()
            return answer.headers["Location"]

    async def first_of(self, path: str) -> str:
        """The first piece of a stream."""
        async with asyncio.timeout(20), left_at_any_time(await self._session.get(self.url + path, ssl=False)) as answer:
            piece: bytes = await answer.content.readany()
            return piece.decode()


def configuration(replaced: Mapping[str, str]) -> str:
    """The document's server for nginx, with other addresses and files."""
    server: str
    [server] = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for old, new in replaced.items():
        assert old in server
        server = server.replace(old, new)
    return server


@asynccontextmanager
async def proxied(console: Console, authority: Authority, folder: Path, say: Say) -> AsyncIterator[Proxy]:
    """Run both in front of a console that runs."""
    outside, login = free_ports(2)
    (certificate, key), behind = authority.sign("console-proxy"), urlsplit(console.url).netloc
    server = configuration({
        "listen 8443": f"listen 127.0.0.1:{outside}", "127.0.0.1:4180": f"127.0.0.1:{login}",
        "rulepack-metrics.rulepack-system.svc:8443": behind,
        "/etc/tls/tls.crt": str(certificate), "/etc/tls/tls.key": str(key),
        "/etc/console-proxy/tls.crt": str(certificate), "/etc/console-proxy/tls.key": str(key),
    })  # fmt: skip
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    http = f"access_log off;\n{paths}{server}"
    (folder / "nginx.conf").write_text(f"user root;\ndaemon off;\npid {folder}/pid;\nevents {{}}\nhttp {{\n{http}}}\n")
    (folder / "passwords").write_text(PASSWORDS)
    processes = Processes(folder)
    processes.start("oauth2-proxy", [
        program(say), "--set-xauthrequest", "--reverse-proxy", f"--http-address=127.0.0.1:{login}", "--email-domain=*",
        "--provider=github", "--client-id=a", "--client-secret=b", f"--cookie-secret={'s' * 32}",
        f"--htpasswd-file={folder}/passwords", "--htpasswd-user-group=team", "--display-htpasswd-form",
    ])  # fmt: skip
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    processes.start("nginx", [nginx, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        await asyncio.gather(listening(outside), listening(login))
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Proxy(f"https://127.0.0.1:{outside}", session)
    finally:
        processes.kill_all()


async def listening(port: int) -> None:
    """Return once something listens on a port of loopback."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


@pytest.fixture
async def behind(tmp_path: Path, say: Say) -> AsyncIterator[Proxy]:
    """A console behind both."""
    (folder := tmp_path / "proxy").mkdir()
    authority, console = Authority(folder, "proxies"), Console(tmp_path)
    trust = RequestHeader(authority.file, ("console-proxy",), *TRUSTED)
    async with console.running(request_header=trust), proxied(console, authority, folder, say) as proxy:
        yield proxy


async def test_who_is_not_logged_in_is_led_to_the_login_whatever_they_send(behind: Proxy) -> None:
    """A page, and a stream; a user's name in a header of the browser counts for nothing."""
    for path in ("packs", "activity-stream"):
        status, location, _ = await behind.get(f"/rulepack/{path}", **{"X-Auth-Request-User": "admin"})
        assert (status, location) == (HTTPStatus.FOUND, f"/oauth2/sign_in?rd=/rulepack/{path}")
    assert (await behind.get("/oauth2/auth"))[0] == HTTPStatus.NOT_FOUND
    assert (await behind.get("/rulepack"))[:2] == (HTTPStatus.PERMANENT_REDIRECT, "/rulepack/")


async def test_who_is_logged_in_is_the_user_that_oauth2_proxy_names(behind: Proxy) -> None:
    """Their rights count, not those of the name that the browser sends; the stream comes piece by piece."""
    assert await behind.log_in("admin") == "/rulepack/packs"
    status, _, text = await behind.get("/rulepack/packs", **{"X-Auth-Request-User": "nobody", "X-Auth-Request-Groups": "x"})
    assert status == HTTPStatus.OK
    assert "<bdi>admin</bdi>" in text
    assert await behind.first_of("/rulepack/activity-stream")


async def test_who_may_see_nothing_sees_nothing(behind: Proxy) -> None:
    """Whatever name their browser adds."""
    await behind.log_in("nobody")
    status, _, text = await behind.get("/rulepack/packs", **{"X-Auth-Request-User": "admin"})
    assert status == HTTPStatus.FORBIDDEN
    assert "<bdi>admin</bdi>" not in text
