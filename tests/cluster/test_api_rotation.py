"""What changes while the engine runs: the cluster's CA, a client's certificate, the kubeconfig, the server's address."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.errors import ApiError, UsageError
from engine.kube.connection import Connection
from engine.kube.credentials import Credentials, find
from tests.cluster.fakes import config_map, failure, serving, write_kubeconfig
from tests.cluster.test_api_tls import certificate
from tests.controlplane.processes import free_ports
from tests.world import RULES

PATH = "/api/v1/namespaces/default/configmaps/a"


async def answer(request: web.Request) -> web.StreamResponse:
    """A ConfigMap, whatever is asked for."""
    return web.json_response(config_map("a"))


@asynccontextmanager
async def secured(own: tuple[Path, Path], port: int, client: Path | None = None, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """A server that shows a certificate, and wants one of a client where it is given one to trust."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*own)
    if client:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(client)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(application, scheme="https", host=host, port=port)
    await server.start_server(ssl=tls)
    try:
        yield f"https://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        await asyncio.sleep(0.1)  # TLS connections end some turns of the loop after their clients have closed them
        await server.close()


@asynccontextmanager
async def opened(credentials: Credentials, silent_seconds: float = 300.0) -> AsyncIterator[Connection]:
    """A connection that is closed at the end."""
    connection = await Connection.open(credentials, silent_seconds)
    try:
        yield connection
    finally:
        await connection.close()


def of(kubeconfig: Path) -> Credentials:
    """The credentials of a kubeconfig."""
    return find(str(kubeconfig))


@pytest.mark.parametrize("inline", [False, True], ids=["in a file", "in the kubeconfig"])
async def test_a_rotated_authority_is_read_again(tmp_path: Path, inline: bool) -> None:
    """When the server shows a certificate of another authority, the new one is read, and the request succeeds at once."""
    first, second = certificate(tmp_path, "first", "api.test"), certificate(tmp_path, "second", "api.test")
    trusted, (port,) = tmp_path / "ca.crt", free_ports(1)

    def trust(authority: Path) -> Path:
        trusted.write_bytes(authority.read_bytes())
        data = {"certificate-authority-data": base64.b64encode(authority.read_bytes()).decode()}
        cluster = {"tls-server-name": "api.test"} | (data if inline else {"certificate-authority": str(trusted)})
        return write_kubeconfig(tmp_path, f"https://127.0.0.1:{port}", cluster=cluster)

    kubeconfig = trust(first[0])
    async with opened(of(kubeconfig)) as connection:
        async with secured(first, port):
            assert await connection.request("GET", PATH) == config_map("a")
        async with secured(second, port):
            with pytest.raises(ApiError, match=r"is not trusted|broke"):
                await connection.request("GET", PATH)
                await connection.request("GET", PATH)
            trust(second[0])
            await asyncio.sleep(5.1)  # what has brought nothing is not tried again at once
            assert await connection.request("GET", PATH) == config_map("a")


async def test_a_rotated_client_certificate_is_read_again(tmp_path: Path) -> None:
    """When the server no longer takes the client's certificate, the files are read again."""
    own, old, new = (certificate(tmp_path, name, f"{name}.test") for name in ("server", "old", "new"))
    shown, key = tmp_path / "client.crt", tmp_path / "client.key"

    def show(pair: tuple[Path, Path]) -> None:
        shown.write_bytes(pair[0].read_bytes())
        key.write_bytes(pair[1].read_bytes())

    (port,) = free_ports(1)
    show(old)
    cluster = {"certificate-authority": str(own[0]), "tls-server-name": "server.test"}
    user = {"client-certificate": "client.crt", "client-key": "client.key"}  # relative to the kubeconfig
    async with opened(of(write_kubeconfig(tmp_path, f"https://127.0.0.1:{port}", user, cluster))) as connection:
        async with secured(own, port, old[0]):
            assert await connection.request("GET", PATH) == config_map("a")
        show(new)
        async with secured(own, port, new[0]):
            assert await eventually_answered(connection) == config_map("a")


async def eventually_answered(connection: Connection) -> Any:
    """The answer; a connection that has ended is found out by a first request, as in client-go."""
    for _ in range(2):
        try:
            return await connection.request("GET", PATH)
        except ApiError as error:
            assert error.status == 0
    return await connection.request("GET", PATH)


async def test_after_a_long_silence_everything_is_read_anew(tmp_path: Path) -> None:
    """The API server has moved, and the kubeconfig says where to: it is found without a restart."""
    (nobody,) = free_ports(1)
    async with serving(answer) as url:
        kubeconfig = write_kubeconfig(tmp_path, f"http://127.0.0.1:{nobody}")
        async with opened(of(kubeconfig), silent_seconds=0.2) as connection:
            with pytest.raises(ApiError):
                await connection.request("GET", PATH)
            write_kubeconfig(tmp_path, url)
            await asyncio.sleep(0.3)
            with pytest.raises(ApiError):
                await connection.request("GET", PATH)
            assert await connection.request("GET", PATH) == config_map("a")


async def test_a_token_file_that_ends_in_a_newline(tmp_path: Path) -> None:
    """kubectl takes it, and so does the engine."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        good = request.headers.get("Authorization") == "Bearer secret"
        return web.json_response(config_map("a") if good else failure(401, "Unauthorized", "no"), status=200 if good else 401)

    (tmp_path / "token").write_text("secret\n")
    async with serving(guarded) as url, opened(of(write_kubeconfig(tmp_path, url, {"tokenFile": "token"}))) as connection:
        assert await connection.request("GET", PATH) == config_map("a")


async def test_a_server_below_a_path(tmp_path: Path) -> None:
    """Such as Rancher has: requests go below it."""
    asked: list[str] = []

    async def below(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response(config_map("a"))

    async with serving(below) as url, opened(of(write_kubeconfig(tmp_path, f"{url}/k8s/clusters/c-1/"))) as connection:
        await connection.request("GET", PATH)
    assert asked == [f"/k8s/clusters/c-1{PATH}"]


async def test_an_api_server_with_an_ipv6_address_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a kubeconfig's URL, and by the variables that a pod has, with the pod's files."""
    own, (port,) = certificate(tmp_path, "server", "::1"), free_ports(1)
    async with secured(own, port, host="::1") as url:
        async with opened(of(write_kubeconfig(tmp_path, url, cluster={"certificate-authority": str(own[0])}))) as connection:
            assert await connection.request("GET", PATH) == config_map("a")
        async with opened(in_pod(tmp_path, monkeypatch, "::1", port, own[0])) as connection:
            assert await connection.request("GET", PATH) == config_map("a")


def in_pod(folder: Path, monkeypatch: pytest.MonkeyPatch, host: str, port: int, authority: Path) -> Credentials:
    """The credentials of a pod: two variables, and a folder with a token and the cluster's authority."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    (folder / "ca.crt").write_bytes(authority.read_bytes())
    (folder / "token").write_text("secret")
    return Credentials("", "", "the pod", folder)


def plugin(folder: Path, text: str) -> Path:
    """An executable script."""
    path = folder / "bin" / "log-in"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


def with_exec(folder: Path, url: str, **spec: Any) -> Path:
    """A kubeconfig with a credential plugin."""
    return write_kubeconfig(folder, url, {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **spec}})


async def test_a_plugin_beside_the_kubeconfig(tmp_path: Path) -> None:
    """A relative path is one from the kubeconfig's folder; what it sends and gets is as client-go has them."""
    plugin(
        tmp_path,
        """import json, os, sys
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
assert asked["spec"]["cluster"]["server"] and os.environ["REALM"] == "test" and sys.argv[1:] == ["now"]
print(json.dumps({"apiVersion": asked["apiVersion"], "kind": "ExecCredential", "status": {"token": "secret"}}))
""",
    )
    kubeconfig = with_exec(
        tmp_path, "http://127.0.0.1:1", command="./bin/log-in", args=["now"], env=[{"name": "REALM", "value": "test"}],
        provideClusterInfo=True,
    )  # fmt: skip
    assert (await of(kubeconfig).load()).credential.token == "secret"


async def test_an_expired_credential_of_a_plugin_is_asked_for_anew(tmp_path: Path) -> None:
    """Before the request, so that nothing is refused."""
    plugin(
        tmp_path,
        f"""import json, pathlib
count = pathlib.Path({str(tmp_path / "count")!r})
number = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(number))
expires = f"{{2000 if number == 1 else 2100}}-01-01T00:00:00Z"
status = {{"token": f"token-{{number}}", "expirationTimestamp": expires}}
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
""",
    )
    used: list[str] = []

    async def noted(request: web.Request) -> web.StreamResponse:
        used.append(request.headers["Authorization"])
        return web.json_response(config_map("a"))

    async with serving(noted) as url, opened(of(with_exec(tmp_path, url, command="./bin/log-in"))) as connection:
        for _ in range(3):
            await connection.request("GET", PATH)
    assert used == ["Bearer token-2"] * 3


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"exec": {"apiVersion": "v1", "command": "no-such-login", "installHint": "Get it from your administrator."}},
         r"plugin no-such-login cannot be run: No such file(.|\n)*Get it from your administrator"),
        ({"exec": {"apiVersion": "v1", "command": "true", "interactiveMode": "Always"}}, "wants to ask somebody"),
        ({"exec": {"apiVersion": "v1", "command": "true"}}, "printed no ExecCredential"),
        ({"username": "admin", "password": "admin"}, "has username: .* no passwords since"),
        ({"auth-provider": {"name": "gcp", "config": {}}}, "auth-provider gcp"),
        ({"token": "t", "as": "somebody"}, "has as: impersonation"),
        ({"tokenFile": "missing"}, "No such file.*missing"),
    ],
)  # fmt: skip
async def test_what_cannot_be_used_is_refused_in_words(tmp_path: Path, user: dict[str, Any], said: str) -> None:
    """Which plugin, which user, and what to do."""
    with pytest.raises(UsageError, match=said):
        await of(write_kubeconfig(tmp_path, "http://127.0.0.1:1", user)).load()


async def test_an_empty_kubeconfig_is_called_empty(tmp_path: Path) -> None:
    """Not a traceback, nor the cluster of somebody else."""
    (tmp_path / "kubeconfig").write_text("")
    with pytest.raises(UsageError, match="kubeconfig is empty"):
        await of(tmp_path / "kubeconfig").load()


async def test_the_first_of_several_kubeconfigs_counts(tmp_path: Path) -> None:
    """Entries are merged, a missing file is passed over, and a path is relative to the file that it stands in."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "token").write_text("secret")
    second = write_kubeconfig(other, "http://second.test", {"tokenFile": "token"})
    first = tmp_path / "first"
    first.write_text("clusters: [{name: test, cluster: {server: 'http://first.test'}}]\ncurrent-context: test\n")
    access = await find(os.pathsep.join(map(str, (first, tmp_path / "missing", second)))).load()
    assert (access.server, access.token_file) == ("http://first.test", other / "token")


def test_no_home_and_a_user_of_no_entry() -> None:
    """As in a pod of OpenShift: what is missing is said in words."""
    script = "import os; from engine.kube.credentials import find; os.setuid(54321); find()"
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PATH": os.environ["PATH"], "PYTHONPATH": str(RULES.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "engine.errors.UsageError: no credentials for a cluster" in done.stderr
