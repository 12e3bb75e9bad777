"""What an attacker may try with the action `http`, each with real servers: it is refused, in words, and nothing gets further."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Mapping, Sequence

import pytest

from engine.kube.act import NotLeading
from engine.kube.clock import SystemClock
from engine.model.outcome import Done, Failed, Obstacle, Outcome, Refused, Unavailable, Waiting
from engine.model.send import Sealed, SecretKey, Send
from engine.outbound.allowed import parse_allowed
from engine.outbound.client import MOST, MOST_OF_ONE, HttpClient
from engine.outbound.sender import LISTED_LATER
from tests.unit.outbound.servers import Authority, Handler, Server, answer, answering, serving

TOKEN, URL_KEY = SecretKey("hook", "token"), SecretKey("hook", "url")
METADATA = "169.254.169.254"


class Names:
    """A resolver: each name has a list of answers, of which the last one stays. It counts how often it is asked."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self._answers.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]


LOCAL = [["127.0.0.1"]]


class Client:
    """A client that may reach what `allow` lists, with the secrets that a test gives."""

    def __init__(self, *allow: str, names: Names | None = None, authority: Authority | None = None, **secrets: str) -> None:
        self.names = names or Names(hooks_example=LOCAL, other_example=LOCAL)
        self._secrets = {SecretKey("hook", key): value for key, value in secrets.items()}
        self.leading = True
        entries, trust = [parse_allowed(each) for each in allow], (authority or Authority()).trust
        self._client = HttpClient(entries, SystemClock(), resolve=self.names, trust=trust)

    async def send(
        self, url: str | Sealed, *, body: Sealed = ("{}",), headers: Mapping[str, Sealed] | None = None, timeout: float = 5.0,
        expected: frozenset[int] = frozenset(), method: str = "POST",
    ) -> Outcome:  # fmt: skip
        """Send a request, as an action's plan has it."""
        sealed = (url,) if isinstance(url, str) else url
        return await self._client.send(
            Send(method, sealed, headers or {}, body, True, timeout, expected), self._reveal, self._lease
        )

    async def _reveal(self, key: SecretKey) -> str:
        return self._secrets[key]

    def _lease(self) -> None:
        if not self.leading:
            raise NotLeading("no Lease")


def reason(outcome: Outcome) -> str:
    """Why something was not done."""
    assert not isinstance(outcome, Done)
    return outcome.reason


def waits_for_the_list(outcome: Outcome) -> bool:
    """Whether it waits for an administrator to list more, which is checked again no sooner than in 5 minutes."""
    if not isinstance(outcome, Unavailable) or outcome.obstacle is not Obstacle.NOT_LISTED:
        return False
    return outcome.retry_at - SystemClock().monotonic() > LISTED_LATER - 60


def plain(server: Server, host: str = "hooks.example") -> str:
    """The entry of an administrator for a server of this machine, by plain HTTP."""
    return f"http://{host}:{server.port}=127.0.0.0/8"


# What works


async def test_a_request_reaches_a_server_by_the_name_that_its_certificate_has() -> None:
    """The connection goes to the address that was resolved; SNI, Host and the certificate go by the name."""
    authority = Authority()
    async with serving(answering(answer(body='{"ok": true}')), authority.server("hooks.example")) as server:
        client = Client(f"hooks.example:{server.port}=127.0.0.0/8", authority=authority, token="s3cret")
        headers: dict[str, Sealed] = {"Authorization": ("Bearer ", TOKEN), "X-Team": ("ml",)}

        outcome = await client.send(f"https://hooks.example:{server.port}/a?b=c", body=('{"text": "hi"}',), headers=headers)

    assert outcome == Done({"status": 200, "text": '{"ok": true}', "json": {"ok": True}})
    ((head, body),) = server.requests
    assert head.startswith("POST /a?b=c HTTP/1.1\r\n")
    assert {f"Host: hooks.example:{server.port}", "Authorization: Bearer s3cret", "X-Team: ml"} <= set(head.split("\r\n"))
    assert body == '{"text": "hi"}'
    assert server.names == ["hooks.example"]


async def test_a_url_and_a_value_in_json_may_be_secrets() -> None:
    """A value is escaped where it stands in JSON, so that it brings no structure of its own."""
    async with serving(answering(answer())) as server:
        client = Client(plain(server), url=f"http://hooks.example:{server.port}/T0/x", token='a"b\\c\n')

        await client.send((URL_KEY,), body=('{"key": "', TOKEN, '"}'))

    assert server.requests[0][0].startswith("POST /T0/x HTTP/1.1\r\n")
    assert server.requests[0][1] == '{"key": "a\\"b\\\\c\\n"}'


# Where it may go


@pytest.mark.parametrize("url", [
    "https://evil.example/", "https://hooks.example:8443/", "https://hooks.example.evil.example/", "https://evil.example#@hooks.example/",
    "https://evil.example/?hooks.example:443", "//hooks.example/", "hooks.example:443", "file:///etc/passwd", "gopher://hooks.example/",
    "https://hooks.example\\@evil.example/", "https://[hooks.example/", "https:///x", "https://hooks.example%2eevil.example/", "",
])  # fmt: skip
async def test_what_is_not_listed_is_refused_before_any_name_is_resolved(url: str) -> None:
    """There is one reading of a URL, by which it is checked and requested."""
    client = Client("hooks.example:443")

    outcome = await client.send(url)

    assert isinstance(outcome, Refused) or waits_for_the_list(outcome)
    assert ("does not list" in reason(outcome)) is waits_for_the_list(outcome)
    assert any(words in reason(outcome) for words in ("does not list", "is no URL", "is no name"))
    assert client.names.asked == []


@pytest.mark.parametrize("host", [
    "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0", "1.2.3.4.5", "0xa9fea9fe",
])  # fmt: skip
async def test_an_address_in_another_form_is_refused(host: str) -> None:
    """What the C library would take for an address is no name."""
    client = Client("hooks.example:443")

    outcome = await client.send(f"https://{host}/")

    assert outcome == Refused(f"POST https://{host}/ has a number for a host; expected a name, or an address in its usual form")
    assert client.names.asked == []


@pytest.mark.parametrize("host", [
    "127.0.0.1", METADATA, "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[fe80::1]",
])  # fmt: skip
async def test_an_address_that_is_not_listed_is_not_reached(host: str) -> None:
    """An address is a host like any other."""
    outcome = await Client("hooks.example:443").send(f"https://{host}/")

    assert waits_for_the_list(outcome)
    assert "does not list" in reason(outcome)


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", METADATA, "168.63.129.16", "100.100.100.200", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "fd00:ec2::254", "fe80::1", "fe80::1%eth0",
    "ff02::1", "::127.0.0.1", "2001:db8::1", "fec0::1",
])  # fmt: skip
async def test_a_name_with_an_address_that_is_not_public_is_not_reached(address: str) -> None:
    """Private, loopback, link-local, mapped and special addresses, and the metadata services, need a network that is listed."""
    client = Client("hooks.example:443", names=Names(hooks_example=[[address]]))

    outcome = await client.send("https://hooks.example/")

    words = f"goes to a host with the address {address}, which is not public; the setting --http-allow can list its network"
    assert waits_for_the_list(outcome)
    assert reason(outcome) == f"POST https://hooks.example/ {words}"


async def test_a_name_with_one_bad_address_among_good_ones_is_not_reached() -> None:
    """Which of several addresses would be connected to is nobody's to know."""
    client = Client("hooks.example:443", names=Names(hooks_example=[["93.184.216.34", METADATA]]))

    assert waits_for_the_list(await client.send("https://hooks.example/"))


async def test_a_name_that_is_rebound_reaches_nothing_else() -> None:
    """A name is resolved once for each request, and what is checked is what is connected to."""
    async with serving(answering(answer())) as server:
        names = Names(hooks_example=[["127.0.0.1"], [METADATA]])
        client = Client(plain(server), names=names)

        first = await client.send(f"http://hooks.example:{server.port}/")
        asked = list(names.asked)
        second = await client.send(f"http://hooks.example:{server.port}/")

    assert isinstance(first, Done)
    assert asked == ["hooks.example"]
    assert waits_for_the_list(second)
    assert METADATA in reason(second)
    assert server.connections == 1


async def test_a_network_that_is_listed_is_for_its_own_host() -> None:
    """One host that may be private makes no other one private."""
    async with serving(answering(answer())) as server:
        client = Client(plain(server), f"http://other.example:{server.port}")

        outcome = await client.send(f"http://other.example:{server.port}/")

    assert waits_for_the_list(outcome)
    assert server.connections == 0


async def test_an_address_can_be_listed_itself() -> None:
    """For a server of the cluster that has no name."""
    async with serving(answering(answer())) as server:
        client = Client(f"http://127.0.0.1:{server.port}")

        assert isinstance(await client.send(f"http://127.0.0.1:{server.port}/"), Done)
    assert client.names.asked == []


async def test_plain_http_is_not_used_unless_it_is_listed_so() -> None:
    """A token does not go over the network for everybody to read."""
    outcome = await Client("hooks.example:80").send("http://hooks.example/")

    words = "is by http, and the administrator lists its host and port for https"
    assert waits_for_the_list(outcome)
    assert reason(outcome) == f"POST http://hooks.example/ {words}"


async def test_a_user_name_in_a_url_is_refused() -> None:
    """It would end up in logs, and hides the host from people."""
    outcome = await Client("hooks.example:443").send("https://me:pass@hooks.example/")

    assert isinstance(outcome, Refused)
    assert "expected it in the header Authorization" in outcome.reason


@pytest.mark.parametrize("place", [METADATA, "hooks.example"])
async def test_a_redirect_is_not_followed(place: str) -> None:
    """Wherever it leads, and nothing that it says is in the reason."""
    async with serving(answering(answer("302 Found", "", f"Location: http://{place}/latest/meta-data/"), answer())) as server:
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert isinstance(outcome, Failed)
    assert "was answered with 302 Found; redirects are not followed" in outcome.reason
    assert "meta-data" not in outcome.reason
    assert server.connections == 1


@pytest.mark.parametrize("certificate", ["another CA", "another host", "expired"])
async def test_a_server_that_cannot_show_who_it_is_gets_nothing(certificate: str) -> None:
    """It may be mended, so it is tried again."""
    authority = Authority()
    context = {
        "another CA": Authority().server("hooks.example"),
        "another host": authority.server("other.example"),
        "expired": authority.server("hooks.example", days=-1),
    }[certificate]
    async with serving(answering(answer()), context) as server:
        client = Client(f"hooks.example:{server.port}=127.0.0.0/8", authority=authority)

        outcome = await client.send(f"https://hooks.example:{server.port}/")

    assert isinstance(outcome, Unavailable)
    assert "reaches a server whose certificate is not trusted" in outcome.reason
    assert server.requests == []


async def test_a_server_without_tls_gets_nothing() -> None:
    """What is listed for HTTPS is never sent in plain text."""
    async with serving(answering(answer())) as server:
        client = Client(f"hooks.example:{server.port}=127.0.0.0/8")

        outcome = await client.send(f"https://hooks.example:{server.port}/", timeout=2.0)

    assert isinstance(outcome, Unavailable)
    assert server.requests == []


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name once more, by itself."""
    async with serving(answering(answer())) as server, serving(answering(answer("502 Bad Gateway"))) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        assert isinstance(await Client(plain(server)).send(f"http://hooks.example:{server.port}/"), Done)
    assert proxy.connections == 0


async def test_nothing_of_one_answer_is_sent_with_the_next_request() -> None:
    """There is no jar for cookies, and no connection that two requests share."""
    async with serving(answering(answer("200 OK", "", "Set-Cookie: a=b; Path=/"), answer())) as server:
        client = Client(plain(server))
        for _ in range(2):
            await client.send(f"http://hooks.example:{server.port}/")

    assert [("cookie" in head.lower()) for head, _ in server.requests] == [False, False]
    assert server.connections == 2


# What is sent


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b"])
async def test_a_secret_begins_no_other_header(value: str) -> None:
    """It is final, and named without its value."""
    async with serving(answering(answer())) as server:
        client = Client(plain(server), token=value)

        outcome = await client.send(f"http://hooks.example:{server.port}/", headers={"Authorization": (TOKEN,)})

    assert isinstance(outcome, Failed)
    assert (
        "(secret hook/token) holds a line break or a control character, which the header Authorization cannot" in outcome.reason
    )
    assert server.connections == 0


@pytest.mark.parametrize(
    "value", ["https://hooks.example/\r\nX-Evil: 1", "https://hooks.example/ HTTP/1.1", "hunter2", "https://hunter2/"]
)
async def test_a_secret_that_is_no_url_is_refused_and_not_repeated(value: str) -> None:
    """A Secret that holds something else than a URL may hold a password."""
    outcome = await Client("hooks.example:443", url=value).send((URL_KEY,))

    assert isinstance(outcome, Refused) or waits_for_the_list(outcome)
    assert reason(outcome).startswith("POST (secret hook/url) ")
    assert "hunter2" not in reason(outcome)
    assert "X-Evil" not in reason(outcome)


async def test_an_answer_that_repeats_a_secret_gives_its_name() -> None:
    """The actions after it may put the answer into an Event."""
    async with serving(answering(answer(body='{"you sent": "s3cret \\"quoted\\""}'))) as server:
        client = Client(plain(server), token='s3cret "quoted"')

        outcome = await client.send(f"http://hooks.example:{server.port}/", headers={"Authorization": (TOKEN,)})

    assert isinstance(outcome, Done)
    assert outcome.result["json"] == {"you sent": "(secret hook/token)"}


async def test_nothing_is_sent_where_the_lease_is_lost_meanwhile() -> None:
    """The Lease is asked for last of all, after the name is resolved."""
    async with serving(answering(answer())) as server:
        client = Client(plain(server))
        client.leading = False

        with pytest.raises(NotLeading):
            await client.send(f"http://hooks.example:{server.port}/")
    assert client.names.asked == ["hooks.example"]
    assert server.connections == 0


# What is answered


def silent(server: Server) -> Handler:
    """Take a request and never answer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return handle


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> object:
    """Begin an answer and never end it."""

    def made(server: Server) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            while not writer.is_closing():
                writer.write(piece)
                await writer.drain()
                server.requests.append(("piece", ""))
                await asyncio.sleep(pause)

        return handle

    return made


def cut_short(server: Server) -> Handler:
    """Close the connection in the middle of an answer."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning")

    return handle


SLOW = endless(b"HTTP/1.1 200 OK\r\n\r\n", b"a", 0.05)
SLOW_HEADERS = endless(b"HTTP/1.1 200 OK\r\n", b"X-More: a\r\n", 0.1)


@pytest.mark.parametrize("behaviour", [silent, SLOW, SLOW_HEADERS], ids=["silent", "slow body", "slow headers"])
async def test_a_slow_server_is_given_up_after_the_time_out(behaviour: object) -> None:
    """All of it has one time, so that a byte now and then keeps no worker."""
    async with serving(behaviour) as server:  # type: ignore[arg-type]
        url = f"http://hooks.example:{server.port}/"
        outcome = await Client(plain(server)).send(url, timeout=0.3)

    assert isinstance(outcome, Unavailable)
    assert (outcome.reason, outcome.obstacle) == (f"POST {url} has no answer within 0.3 s", Obstacle.TIMEOUT)


async def test_of_an_endless_answer_16_kib_are_read() -> None:
    """The request was carried out, so it is done."""
    async with serving(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)) as server:  # type: ignore[arg-type]
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert outcome == Done({"status": 200, "text": "x" * 16 * 1024, "json": None})


@pytest.mark.parametrize("piece", [b"X-More: a\r\n", b"X-More: " + b"a" * 5000])
async def test_endless_headers_are_no_answer(piece: bytes) -> None:
    """They fill no memory."""
    async with serving(endless(b"HTTP/1.1 200 OK\r\n", piece)) as server:  # type: ignore[arg-type]
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert isinstance(outcome, Unavailable)
    assert "has no answer that is HTTP" in outcome.reason
    assert len(server.requests) < 10_000


async def test_an_answer_is_not_unpacked() -> None:
    """A few bytes can unpack to gigabytes; the request asks for none that are packed."""
    packed = gzip.compress(b"x" * 10_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    async with serving(answering(head + packed)) as server:
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert isinstance(outcome, Done)
    assert len(outcome.result["text"]) <= 16 * 1024
    assert "Accept-Encoding: identity" in server.requests[0][0]


@pytest.mark.parametrize("body", ['{"a": 1', "[" * 10_000, "NaN", "1" * 5000, ""])
async def test_an_answer_that_is_no_json_has_none(body: str) -> None:
    """It is there as text."""
    async with serving(answering(answer(body=body))) as server:
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert isinstance(outcome, Done)
    assert (outcome.result["text"], outcome.result["json"]) == (body, None)


@pytest.mark.parametrize(("raw", "words"), [
    (b"not HTTP at all\r\n\r\n", "has no answer that is HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "has no answer that is HTTP"),
    (b"", "has no answer: the server has closed the connection"),
])  # fmt: skip
async def test_an_answer_that_is_none_is_an_outage(raw: bytes, words: str) -> None:
    """It is tried again."""
    async with serving(answering(raw)) as server:
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert isinstance(outcome, Unavailable)
    assert words in outcome.reason


async def test_an_answer_that_ends_too_soon_is_an_outage() -> None:
    """What it was is not known."""
    async with serving(cut_short) as server:
        outcome = await Client(plain(server)).send(f"http://hooks.example:{server.port}/")

    assert isinstance(outcome, Unavailable)


async def test_a_server_that_is_not_there_is_an_outage() -> None:
    """So is a name that is not there."""
    async with serving(answering(answer())) as server:
        client = Client(plain(server), "nowhere.example:443")
    gone = await client.send(f"http://hooks.example:{server.port}/")
    unknown = await client.send("https://nowhere.example/")

    assert [type(gone), type(unknown)] == [Unavailable, Unavailable]
    assert "has no answer: " in reason(gone)
    assert reason(unknown) == "POST https://nowhere.example/ goes to a host whose name is not resolved"


async def test_no_more_than_so_many_are_under_way() -> None:
    """One that does not answer takes no more than its share, and whoever waits for it keeps no worker."""
    async with serving(silent) as stuck, serving(silent) as another, serving(answering(answer())) as well:
        client = Client(plain(stuck), plain(another, "other.example"), plain(well))
        urls = [f"http://hooks.example:{stuck.port}/"] * MOST_OF_ONE
        tasks = [asyncio.create_task(client.send(url, timeout=20)) for url in urls]
        await asyncio.sleep(0.2)
        one_more = await client.send(urls[0])
        elsewhere = await client.send(f"http://hooks.example:{well.port}/")
        others = [f"http://other.example:{another.port}/"] * (MOST - MOST_OF_ONE)
        tasks += [asyncio.create_task(client.send(url, timeout=20)) for url in others]
        await asyncio.sleep(0.2)
        too_many = await client.send(f"http://hooks.example:{well.port}/")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        after = await client.send(f"http://hooks.example:{well.port}/")

    assert [type(each) for each in (one_more, elsewhere, too_many, after)] == [Waiting, Done, Waiting, Done]
    assert isinstance(one_more, Waiting)
    assert one_more.obstacle is Obstacle.REQUESTS_UNDER_WAY
