"""A bare connection to the API server of a test control plane, for whatever must cost as little as possible."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

JSON = {"Content-Type": "application/json"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
#: The API server leaves spec and status out of what it sends (kubernetes: reference, API concepts, metadata-only fetches).
METADATA_ONLY = "application/json;as={};v=v1;g=meta.k8s.io"
#: aiohttp refuses a line longer than twice this; a job with many cell results is a long line.
LINE = 1 << 20


def connect(kubeconfig: Path, user_agent: str) -> aiohttp.ClientSession:
    """A session in the name of the kubeconfig's only user; it understands what tests.controlplane.plane writes (a token)."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    trusted = ssl.create_default_context(cadata=authority)
    trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the server's own certificate lacks what Python 3.13 asks for
    return aiohttp.ClientSession(
        cluster["server"],
        headers={"Authorization": f"Bearer {user['token']}", "User-Agent": user_agent},
        connector=aiohttp.TCPConnector(ssl=trusted, limit=64),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        cookie_jar=aiohttp.DummyCookieJar(),
        raise_for_status=True,
        read_bufsize=LINE,
    )


async def get(session: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None) -> Any:
    """The JSON at a path. Raises aiohttp.ClientError."""
    async with session.get(path, headers=headers) as answer:
        return orjson.loads(await answer.read())


async def send(session: aiohttp.ClientSession, method: str, path: str, body: Any) -> Any:
    """POST a new object, or PATCH one with a merge patch; return it as it then is. Raises aiohttp.ClientError."""
    headers = MERGE_PATCH if method == "PATCH" else JSON
    async with session.request(method, path, data=orjson.dumps(body), headers=headers) as answer:
        return orjson.loads(await answer.read())


async def watch(
    session: aiohttp.ClientSession, path: str, resource_version: str, headers: dict[str, str] | None = None
) -> AsyncIterator[Any]:
    """The events of a collection after a resourceVersion. Raises aiohttp.ClientError, EOFError where they are not to be had.

    A watch that ends is taken up where it ended: the API server ends those of clients that are slow to read.
    """
    while True:
        query = f"?watch=1&resourceVersion={resource_version}&timeoutSeconds=3600"
        async with session.get(path + query, headers=headers) as answer:
            async for line in answer.content:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise EOFError(str(event["object"].get("message", "the watch has failed")))
                resource_version = event["object"]["metadata"]["resourceVersion"]
                yield event
