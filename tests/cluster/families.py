"""An API server by a name that has an address of each family of IP, of which one takes no connection and refuses none.

Run in namespaces of its own by `tests.cluster.test_api_families`. Prints the names of what a request and a watch bring.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.kube.connection import Connection
from engine.kube.credentials import find
from tests.cluster.fakes import config_map, watch_line

PATH = "/api/v1/namespaces/default/configmaps"


@contextmanager
def silent(host: str, port: int) -> Iterator[None]:
    """An address that leaves connections unanswered, as a firewall does that drops packets: its queue is full (listen(2))."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as open_ones:
        listening, *waiting = (open_ones.enter_context(socket.socket(family)) for _ in range(4))
        listening.bind((host, port))
        listening.listen(0)
        for each in waiting:
            each.setblocking(False)
            each.connect_ex((host, port))
        yield


async def answer(request: web.Request) -> web.StreamResponse:
    """A ConfigMap, or a watch that ends after one event."""
    if "watch" in request.query:
        return web.Response(body=watch_line("ADDED", config_map("watched")))
    return web.json_response(config_map("read"))


async def ask(kubeconfig: str, host: str, port: int) -> list[str]:
    """What is brought by a server on an address, which the kubeconfig names by its name."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application, host=host, port=port):
        connection = await Connection.open(find(kubeconfig))
        try:
            read = await connection.request("GET", f"{PATH}/a")
            events = [event["object"] async for event in connection.lines(f"{PATH}?watch=1", 5, asyncio.Semaphore())]
            return [each["metadata"]["name"] for each in (read, *events)]
        finally:
            await connection.close()


def main(kubeconfig: str, port: str, answering: str, unanswered: str) -> None:
    """Ask, as the engine does, with the event loop that it has in its image."""
    with silent(unanswered, int(port)):
        print(*uvloop.run(ask(kubeconfig, answering, int(port))))


if __name__ == "__main__":
    main(*sys.argv[1:])
