"""The certificate of the metrics server, as who connects sees it."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.operator.certificate import Certificate
from engine.operator.server import Server, probe

EC, RSA = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), ("rsa:2048",)


def write(folder: Path, name: str, key: str = "", kind: tuple[str, ...] = EC) -> None:
    """Write a certificate for a name, as a mounted Secret has it, optionally with the key of another one."""
    folder.mkdir(exist_ok=True)
    command = [
        "openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-out", str(folder / "tls.crt"), "-keyout", str(folder / (key or "tls.key")),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


@asynccontextmanager
async def serving(certificate: Certificate) -> AsyncIterator[int]:
    """A server with that certificate; gives its port."""
    server = Server("127.0.0.1", 0, "--port", {"/": lambda: probe([])}, certificate=certificate)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


async def shown(port: int) -> bytes:
    """The certificate that a new connection is shown, as DER."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    return found


def named(folder: Path) -> bytes:
    """The certificate of a folder, as DER."""
    return ssl.PEM_cert_to_DER_cert((folder / "tls.crt").read_text())


async def test_a_certificate_that_changes_is_shown_without_a_restart(tmp_path: Path) -> None:
    """Self-signed before there is one, then that of the folder, then the next; what is in use stays where a pair does not fit."""
    folder = tmp_path / "tls"
    certificate = Certificate(folder)
    async with serving(certificate) as port:
        own = await shown(port)
        for name in ("first.test", "second.test"):
            write(folder, name)
            certificate.refresh()
            assert await shown(port) == named(folder) != own
        second = named(folder)
        write(folder, "third.test", key="other.key")
        certificate.refresh()
        assert await shown(port) == second
        (folder / "tls.crt").unlink()
        certificate.refresh()
        assert await shown(port) == second


@pytest.mark.parametrize("kinds", [(RSA, EC, RSA), (EC, RSA, EC)], ids=["RSA first", "EC first"])
async def test_a_certificate_with_another_type_of_key_takes_the_place_of_the_last(
    kinds: tuple[tuple[str, ...], ...], tmp_path: Path
) -> None:
    """Such as that of OpenShift's service-ca, which has an RSA key: clients that prefer the other type get it as well."""
    certificate = Certificate(tmp_path)
    async with serving(certificate) as port:
        for kind in kinds:
            write(tmp_path, "operator.test", kind=kind)
            certificate.refresh()
            assert await shown(port) == named(tmp_path)


@pytest.mark.parametrize("text", ["", "no certificate"])
async def test_what_is_no_certificate_is_reported_and_replaced(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It starts all the same, with a self-signed one, and says once which folder is wrong."""
    (tmp_path / "tls.crt").write_text(text)
    (tmp_path / "tls.key").write_text(text)
    certificate = Certificate(tmp_path)
    certificate.refresh()
    async with serving(certificate) as port:
        assert await shown(port)
    assert len([record for record in caplog.records if f"no certificate in {tmp_path} can be used" in record.message]) == 1


async def test_each_start_makes_a_key_of_its_own() -> None:
    """No private key is shipped."""
    async with serving(Certificate(None)) as first, serving(Certificate(None)) as second:
        assert await shown(first) != await shown(second)
