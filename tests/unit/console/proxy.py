"""A small reverse proxy in front of a console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from yarl import URL

from tests.unit.console.builder import Console

PASSED = ("Cookie", "Content-Type", "Last-Event-ID")
OF_A_CONNECTION = ("Transfer-Encoding", "Content-Length", "Connection", "Date", "Server")


@asynccontextmanager
async def proxy(console: Console, prefix: str) -> AsyncIterator[str]:
    """A reverse proxy by plain HTTP, with a path of its own, that streams; gives the address of the console behind it."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            if not request.path.startswith(f"{prefix}/"):
                return web.Response(status=404)
            url = URL(console.url + str(request.rel_url).removeprefix(f"{prefix}/"), encoded=True)
            passed = {name: request.headers[name] for name in PASSED if name in request.headers}
            async with session.request(
                request.method, url, headers=passed, data=await request.read(), ssl=False, allow_redirects=False
            ) as answer:
                back = {name: value for name, value in answer.headers.items() if name not in OF_A_CONNECTION}
                if "Set-Cookie" in back:
                    back["Set-Cookie"] = back["Set-Cookie"].replace("; Secure", "")
                response = web.StreamResponse(status=answer.status, headers=back)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response

        runner = web.ServerRunner(web.Server(forward))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}/"
        await runner.cleanup()
