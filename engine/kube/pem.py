"""Certificates and keys as texts; Python reads them from files only, and in a pod there is no folder to write to."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path


def load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Have a context show a certificate. Raises ssl.SSLError where the two, as PEM, are no pair, or the key has a password."""
    text = key + b"\n" + certificate
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("rulepack"), "wb") as file:
            file.write(text)
            file.flush()
            _load(context, f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.TemporaryDirectory(prefix="rulepack-") as folder:
            path = Path(folder) / "tls.pem"
            path.write_bytes(text)
            _load(context, str(path))


def _load(context: ssl.SSLContext, path: str) -> None:
    context.load_cert_chain(path, password="")  # where the key needs one, an error, not a question on the terminal
