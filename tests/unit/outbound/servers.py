"""Real servers on this machine that answer byte by byte what a test says, with certificates of a CA of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Authority:
    """A CA that one test trusts, and nobody else."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.certificate = self._signed("test CA", self.key, ca=True, days=1)

    def trust(self) -> ssl.SSLContext:
        """What a client goes by that trusts this CA."""
        return ssl.create_default_context(cadata=self.certificate.public_bytes(Encoding.PEM).decode())

    def server(self, host: str, *, days: int = 1) -> ssl.SSLContext:
        """What a server of this name goes by; its certificate ends after so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = self._signed(host, key, ca=False, days=days).public_bytes(Encoding.PEM)
        pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with TemporaryDirectory() as folder:
            path = Path(folder, "server.pem")
            path.write_bytes(pem)
            context.load_cert_chain(path)
        return context

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool, days: int) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, ca, ca, False, False), critical=True)
        )
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@dataclass
class Server:
    """A server; `requests` has each head and body that came whole, `names` what clients asked for by SNI."""

    port: int = 0
    connections: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


def answering(*answers: bytes) -> Callable[[Server], Handler]:
    """Answer the first request with the first of these, and so on; the last one for all that come after."""

    def made(server: Server) -> Handler:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
            server.requests.append((head, (await reader.readexactly(length)).decode()))
            writer.write(answers[min(len(server.requests), len(answers)) - 1])

        return handle

    return made


def answer(status: str = "200 OK", body: str = "", *headers: str) -> bytes:
    """One answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers]
    return "\r\n".join([*lines, "", body]).encode()


@asynccontextmanager
async def serving(
    behaviour: Callable[[Server], Handler], context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[Server, None]:
    """Serve on a free port until the block ends."""
    server = Server()
    handle = behaviour(server)
    if context is not None:
        context.sni_callback = lambda socket, name, context: server.names.append(name)

    handling = set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
                await writer.drain()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            handling.discard(task)

    listening = await asyncio.start_server(connected, host, 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)
