"""An HTTP server whose paths are answered by functions: /healthz, /readyz, /metrics and /packs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from engine.errors import UsageError


class Server:
    """Answers GET requests on an address, all of them where it is empty; port 0 picks a free one, which `port` then names.

    Each answer must be quick.
    """

    def __init__(self, address: str, port: int, answers: Mapping[str, Callable[[], web.Response]]) -> None:
        self.address, self.port, self._answers = address, port, answers
        app = web.Application()
        for path in answers:
            app.router.add_get(path, self._answer)
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

    async def _answer(self, request: web.Request) -> web.Response:
        return self._answers[request.path]()


def probe(problems: Sequence[str]) -> web.Response:
    """Return what a probe is answered: 200 where there are no problems, else 503 with a line for each."""
    return web.Response(text="\n".join(problems) + "\n", status=503) if problems else web.Response(text="ok\n")
