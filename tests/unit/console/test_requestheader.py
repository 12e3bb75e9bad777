"""Users whom a proxy names in headers: they count with the proxy's own client certificate, on a real TLS connection."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from engine.errors import UsageError
from engine.operator.requestheader import RequestHeader, Untrusted, parse_request_header
from tests.unit.console.authority import Authority, anonymous
from tests.unit.console.builder import ADMIN, NOBODY, Console, Page

PROXY = {"subject": ((("commonName", "console-proxy"),),)}
AS_ADMIN = {"X-Forwarded-User": "admin"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority of proxies."""
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder, "proxies")


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that is not running yet."""
    return Console(tmp_path)


async def visit(console: Console, path: str, client: ssl.SSLContext, headers: Mapping[str, str], cookie: str = "") -> Page:
    """What a client gets."""
    sent = {**headers, **({"Cookie": f"rulepack-token={cookie}"} if cookie else {})}
    async with (
        aiohttp.ClientSession() as session,
        session.get(console.url + path, headers=sent, ssl=client, allow_redirects=False) as answer,
    ):
        return Page(answer.status, answer.headers.copy(), await answer.text())


async def test_a_proxy_with_its_certificate_names_the_user_and_their_rights_count(console: Console, authority: Authority) -> None:
    """Without a login; each user sees what the API server lets them get, and has nothing to log out of."""
    proxy = authority.client("console-proxy")
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        admin = await visit(console, "packs", proxy, AS_ADMIN)
        nobody = await visit(console, "packs", proxy, {"X-Forwarded-User": "nobody"})
    assert (admin.status, nobody.status) == (200, 403)
    assert "<bdi>admin</bdi>" in admin.text
    assert "Log out" not in admin.text


async def test_a_header_without_the_certificate_is_ignored(console: Console, authority: Authority) -> None:
    """No certificate, and one of another name: the login is asked for, on the stream as well, and a token counts as ever."""
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        forged = [await visit(console, "packs", each, AS_ADMIN) for each in (anonymous(), authority.client("another"))]
        stream = await visit(console, "activity-stream", anonymous(), AS_ADMIN)
        with_token = await visit(console, "packs", anonymous(), AS_ADMIN, cookie=NOBODY)
    assert [(each.status, each.headers["Location"]) for each in forged] == [(303, "login?next=packs")] * 2
    assert "Your session has ended" in stream.text
    assert with_token.status == 403


async def test_no_header_counts_where_no_authority_is_set(console: Console, authority: Authority) -> None:
    """Which is the default, whatever certificate is shown."""
    async with console.running():
        assert (await visit(console, "packs", authority.client("console-proxy"), AS_ADMIN)).status == 303


async def test_a_certificate_of_another_authority_gets_no_connection(
    console: Console, authority: Authority, tmp_path: Path
) -> None:
    """TLS refuses it."""
    other = Authority(tmp_path / "authority", "others")
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        with pytest.raises((aiohttp.ClientError, OSError)):
            await visit(console, "packs", other.client("console-proxy"), AS_ADMIN)


async def test_an_authority_that_changes_counts_without_a_restart(console: Console, authority: Authority, tmp_path: Path) -> None:
    """The new one is trusted, the old one not any more; a file that has none leaves what there was."""
    before, other = authority.client("console-proxy"), Authority(tmp_path / "authority", "others")
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        authority.file.write_text("nothing")
        await console.clock.advance(15)
        assert (await visit(console, "packs", before, AS_ADMIN)).status == 200
        authority.file.write_bytes(other.file.read_bytes())
        await console.clock.advance(15)
        assert (await visit(console, "packs", other.client("console-proxy"), AS_ADMIN)).status == 200
        with pytest.raises((aiohttp.ClientError, OSError)):
            await visit(console, "packs", before, AS_ADMIN)


async def test_the_header_goes_before_a_token_and_a_token_counts_where_it_is_missing(
    console: Console, authority: Authority
) -> None:
    """As in kube-apiserver."""
    proxy = authority.client("console-proxy")
    bearer = {"Authorization": f"Bearer {ADMIN}"}
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        assert (await visit(console, "packs", proxy, {"X-Forwarded-User": "nobody", **bearer})).status == 403
        assert (await visit(console, "packs", proxy, AS_ADMIN, cookie=NOBODY)).status == 200
        assert (await visit(console, "packs", proxy, bearer)).status == 200
        assert (await visit(console, "packs", proxy, {})).status == 303


async def test_metrics_take_no_header(console: Console, authority: Authority) -> None:
    """They ask for a token, as ever."""
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        assert (await visit(console, "../metrics", authority.client("console-proxy"), AS_ADMIN)).status == 401


def named(*headers: tuple[str, str], certificate: object = PROXY) -> object:
    """Whom headers name."""
    settings = RequestHeader(Path(), ("console-proxy",), ("X-Remote-User", "X-Forwarded-User"))
    assert certificate is None or isinstance(certificate, dict)
    return settings.user(certificate, CIMultiDictProxy(CIMultiDict(headers)))


def test_groups_come_from_headers_and_none_of_kubernetes_own() -> None:
    """Repeated or separated by commas; the first header with a user name counts; everybody is authenticated."""
    found = named(
        ("X-Forwarded-User", "second"), ("x-remote-user", "jane"), ("X-Forwarded-Groups", "a, system:masters,b"),
        ("X-Forwarded-Groups", "a,c"),
    )  # fmt: skip
    assert found == {"username": "jane", "groups": ["a", "b", "c", "system:authenticated"]}
    assert named(("X-Forwarded-User", "jane"), certificate=None) is None
    assert named(("X-Forwarded-Groups", "a")) is None


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Forwarded-User", "jane"), ("X-Forwarded-User", "admin")],
        [("X-Forwarded-User", " ")],
        [("X-Forwarded-User", "system:admin")],
        [("X-Forwarded-User", "system:serviceaccount:a:b")],
    ],
)
def test_a_name_that_is_doubtful_is_refused(headers: list[tuple[str, str]]) -> None:
    """Sent twice, empty, or one of Kubernetes' own; a token of the same request does not count then either."""
    with pytest.raises(Untrusted):
        named(*headers)


async def test_a_refused_name_is_401_with_the_reason(console: Console, authority: Authority) -> None:
    """On a page."""
    async with console.running(request_header=RequestHeader(authority.file, ("console-proxy",))):
        page = await visit(console, "packs", authority.client("console-proxy"), {"X-Forwarded-User": "system:admin"}, ADMIN)
    assert page.status == 401
    assert "log in with a token" in page.text


def test_options_that_say_too_little_are_refused(authority: Authority, tmp_path: Path) -> None:
    """An authority without names, names without an authority, and a file without certificates; without any it is off."""
    assert parse_request_header(None, (), (), ()) is None
    found = parse_request_header(authority.file, ("a,b", "c"), (), ("X-Auth-Request-Groups",))
    assert found == RequestHeader(authority.file, ("a", "b", "c"), ("X-Forwarded-User",), ("X-Auth-Request-Groups",))
    with pytest.raises(UsageError, match="needs --requestheader-allowed-names"):
        parse_request_header(authority.file, (), (), ())
    with pytest.raises(UsageError, match="need --requestheader-client-ca-file"):
        parse_request_header(None, ("a",), (), ())
    with pytest.raises(UsageError, match="expected certificates of authorities"):
        parse_request_header(tmp_path / "none.crt", ("a",), (), ())
