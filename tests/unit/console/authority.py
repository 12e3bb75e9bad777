"""Certificates of clients, made by openssl, and what a client connects with."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

NEW = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """An authority that signs certificates of clients."""

    def __init__(self, folder: Path, name: str) -> None:
        self.file, self._key, self._folder = folder / f"{name}.crt", folder / f"{name}.key", folder
        _openssl("req", "-x509", *NEW, "-keyout", self._key, "-out", self.file, "-subj", f"/CN={name}")

    def client(self, name: str) -> ssl.SSLContext:
        """What a client with a certificate of that name connects with."""
        context = anonymous()
        context.load_cert_chain(*self.sign(name))
        return context

    def sign(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate of that name, and of its key."""
        key, request, signed = (self._folder / f"{self.file.stem}-{name}.{part}" for part in ("key", "csr", "crt"))
        _openssl("req", *NEW, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-out", signed)
        return signed, key


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def anonymous() -> ssl.SSLContext:
    """What a client without a certificate connects with, whatever the server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
