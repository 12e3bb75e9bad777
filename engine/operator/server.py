"""The HTTP server: /healthz and /readyz for probes, /metrics for Prometheus, /packs for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from engine.errors import UsageError


class Reporter(Protocol):
    """Who knows how the engine is. Each answer must be quick."""

    def unhealthy(self) -> Sequence[str]:
        """What only a restart would mend; empty while all is well."""
        ...

    def unready(self) -> Sequence[str]:
        """What has yet to be listed before the engine knows the cluster; empty once it does."""
        ...

    def metrics_text(self) -> bytes:
        """The metrics in the Prometheus text format."""
        ...

    def packs(self) -> Any:
        """The packs and how they fare, as JSON data without any content of objects."""
        ...


class Server:
    """Serves a Reporter on an address, or on all of them where it is empty; port 0 picks a free port, which `port` then names."""

    def __init__(self, reporter: Reporter, address: str, port: int) -> None:
        self.address, self.port = address, port
        self._reporter = reporter
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/packs", self._packs)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Listen. Raises UsageError where the address cannot be had."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.address or None, self.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            where, why = f"{self.address or '*'}:{self.port}", error.strerror or error
            raise UsageError(f"cannot listen on {where}: {why}; choose another --address or --port") from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the listening socket and what is open on it."""
        await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return _verdict(self._reporter.unhealthy())  # that the loop turns is shown by this answer

    async def _readyz(self, request: web.Request) -> web.Response:
        return _verdict(self._reporter.unready())

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._reporter.metrics_text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _packs(self, request: web.Request) -> web.Response:
        return web.json_response(self._reporter.packs())


def _verdict(problems: Sequence[str]) -> web.Response:
    return web.Response(text="\n".join(problems) + "\n", status=503) if problems else web.Response(text="ok\n")
