"""The certificate of the server of metrics: one from a mounted folder, read again when it changes, else one of its own.

And the authorities of the certificates that clients may show, from a file that is read again as well.
"""

from __future__ import annotations

import logging
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.errors import UsageError
from engine.kube import pem
from engine.kube.clock import Clock
from engine.operator.requestheader import authorities

log = logging.getLogger(__name__)

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""The names that a Secret of type kubernetes.io/tls has, and so what service-ca and cert-manager write."""
CHECK_SECONDS = 10.0
VALID = timedelta(days=3650)


class Certificate:
    """What a server shows, as `context`, whose certificate changes while the server goes on.

    `folder` is where tls.crt and tls.key are, now or later; as long as they are not there, or there is no folder, the
    certificate is a self-signed one, which proves nothing but encrypts. `clients` is a file with the authorities of clients'
    certificates; a client that shows another one gets no connection, and one that shows none does. Without it none is asked for.
    """

    def __init__(self, folder: Path | None, clients: Path | None = None) -> None:
        self._folder, self._clients = folder, clients
        self._authorities = authorities(clients) if clients else ""
        self._known: tuple[bytes, bytes] | None = None
        self._pair = _self_signed(socket.gethostname())
        self._problem = self._problem_of_clients = ""
        self._shown = _showing(*self._pair, self._authorities)
        self.context = _context(self._authorities)
        self.context.sni_callback = self._show
        self.refresh()

    def _show(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Have a connection show the certificate of this moment.

        One context cannot change it: it keeps a certificate for each type of key, and shows clients the type that they prefer.
        """
        connection.context = self._shown

    def refresh(self) -> None:
        """Read the folder and the authorities; what cannot be used is logged, and the last good ones stay."""
        self._refresh_authorities()
        if self._folder is None:
            return
        paths = self._folder / CERTIFICATE, self._folder / KEY
        try:
            found = paths[0].read_bytes(), paths[1].read_bytes()
            if found != self._known:
                self._shown, self._pair = _showing(*found, self._authorities), found
                log.info("the certificate in %s is used", self._folder)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self._report(error)
        else:
            self._known, self._problem = found, ""

    def _refresh_authorities(self) -> None:
        if self._clients is None:
            return
        try:
            found = authorities(self._clients)
        except UsageError as error:
            if str(error) != self._problem_of_clients:
                log.warning("%s; the last good ones stay", error)
            self._problem_of_clients = str(error)
            return
        self._problem_of_clients = ""
        if found != self._authorities:
            self._authorities, self._shown = found, _showing(*self._pair, found)
            log.info("the authorities in %s are used", self._clients)

    async def watch(self, clock: Clock) -> None:
        """Read the folder again and again: a Secret's volume changes about a minute after the Secret."""
        while True:
            await clock.sleep(CHECK_SECONDS)
            self.refresh()

    def _report(self, error: Exception) -> None:
        if str(error) != self._problem:
            instead = "the last good one stays" if self._known else "a self-signed one is used"
            missing = isinstance(error, FileNotFoundError)
            log.log(
                logging.INFO if missing and not self._known else logging.WARNING,
                "no certificate in %s can be used: %s; %s", self._folder, error, instead,
            )  # fmt: skip
        self._problem = str(error)


def _context(clients: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if clients:
        context.load_verify_locations(cadata=clients)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.num_tickets, context.options = 0, context.options | ssl.OP_NO_TICKET  # each connection is checked anew
    return context


def _showing(certificate: bytes, key: bytes, clients: str = "") -> ssl.SSLContext:
    context = _context(clients)
    pem.load(context, certificate, key)
    return context


def _self_signed(host: str) -> tuple[bytes, bytes]:
    """Return a certificate and its key, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host), x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    made = builder.sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM), private
