"""Where an engine that a test has started answers."""

from __future__ import annotations

import ssl
import urllib.request
from typing import NamedTuple

from tests.controlplane.processes import free_ports


class Served(NamedTuple):
    """Two ports of an address, of probes and of metrics; with a token metrics are asked for as a scraper does, by TLS."""

    probes: int
    metrics: int
    token: str = ""
    host: str = "127.0.0.1"

    @classmethod
    def anywhere(cls, token: str = "") -> Served:
        """Ports of 127.0.0.1 that nobody listens on at this moment."""
        probes, metrics = free_ports(2)
        return cls(probes, metrics, token)

    @property
    def options(self) -> list[str]:
        """What `rulepack run` is given."""
        ports = ["--address=127.0.0.1", f"--probe-port={self.probes}", f"--port={self.metrics}"]
        return ports if self.token else [*ports, "--insecure-metrics"]

    def ask(self, path: str, timeout: float = 5.0) -> str:
        """What is answered; '' where nothing is, or not with success."""
        try:
            with urllib.request.urlopen(self._request(path), timeout=timeout, context=_unverified()) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def _request(self, path: str) -> urllib.request.Request:
        host = f"[{self.host}]" if ":" in self.host else self.host
        if path in ("/healthz", "/readyz"):
            return urllib.request.Request(f"http://{host}:{self.probes}{path}")
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return urllib.request.Request(f"http{'s' if self.token else ''}://{host}:{self.metrics}{path}", headers=headers)


def _unverified() -> ssl.SSLContext:
    """For a certificate that signs itself."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
