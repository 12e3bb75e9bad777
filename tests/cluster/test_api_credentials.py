"""Where credentials come from, and what is said where there are none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from aiohttp import web

from engine.errors import ApiError, UsageError
from engine.kube.kubernetes import KubernetesApi
from tests.cluster.fakes import CONFIG_MAPS, IN_DEFAULT, config_map, connected, failure, serving, watch_line, write_kubeconfig


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without any credentials; returns the home folder."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


async def refusal(kubeconfig: Path | None = None, context: str | None = None) -> str:
    """What connecting is refused with."""
    with pytest.raises(UsageError) as refused:
        await KubernetesApi.connect(str(kubeconfig) if kubeconfig else None, context)
    return str(refused.value)


async def test_no_credentials_anywhere_names_every_location(nowhere: Path) -> None:
    """Without credentials the error names every location that was tried and what to do."""
    message = await refusal()

    for location in ("--kubeconfig", "KUBECONFIG", str(nowhere / ".kube/config"), "KUBERNETES_SERVICE_HOST"):
        assert location in message


async def test_a_named_kubeconfig_that_is_missing_is_never_passed_over(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that somebody named is refused where there is no file, even if another kubeconfig would do."""
    (nowhere / ".kube").mkdir()
    write_kubeconfig(nowhere, "http://127.0.0.1:1").rename(nowhere / ".kube/config")
    monkeypatch.setenv("KUBECONFIG", str(nowhere / "elsewhere"))

    assert "--kubeconfig names" in await refusal(nowhere / "missing")
    assert "the variable KUBECONFIG names" in await refusal()


async def test_the_home_kubeconfig_is_used_last(nowhere: Path) -> None:
    """Where nobody names a kubeconfig, the one in the home folder serves."""
    (nowhere / ".kube").mkdir()
    write_kubeconfig(nowhere, "http://127.0.0.1:1").rename(nowhere / ".kube/config")

    api = await KubernetesApi.connect()

    await api.close()


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "contexts: 5", "current-context: x"])
async def test_a_broken_kubeconfig_is_named(nowhere: Path, text: str) -> None:
    """A file that is no kubeconfig is refused by name, without a traceback."""
    path = nowhere / "broken"
    path.write_text(text)

    assert f"the kubeconfig {path} (from --kubeconfig) cannot be used" in await refusal(path)


async def test_an_unknown_context_is_named(nowhere: Path) -> None:
    """A context that the kubeconfig does not have stands in the error."""
    path = write_kubeconfig(nowhere, "http://127.0.0.1:1")

    assert "no context 'staging'" in await refusal(path, "staging")


@pytest.mark.parametrize("user", [{}, {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}}])
async def test_a_user_without_credentials_is_refused(nowhere: Path, user: dict[str, object]) -> None:
    """No credentials, or a credential command that fails, are refused at once rather than sent as nobody."""
    said = await refusal(write_kubeconfig(nowhere, "http://127.0.0.1:1", user))
    assert "holds no credentials" in said or "the credential plugin false ended with status 1" in said


async def test_a_certificate_that_is_none_is_named(nowhere: Path) -> None:
    """A certificate authority that is not PEM is refused at start."""
    (nowhere / "ca.crt").write_text("no certificate")
    path = write_kubeconfig(nowhere, "https://127.0.0.1:1", cluster={"certificate-authority": str(nowhere / "ca.crt")})

    assert "certificates of the kubeconfig" in await refusal(path)


class Guarded:
    """A server that knows one token and counts requests."""

    def __init__(self, token: str) -> None:
        self.token, self.requests, self.refused = token, 0, 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.refused += 1
            return web.json_response(failure(401, "Unauthorized", "Unauthorized"), status=401)
        if "watch" in request.query:
            return web.Response(body=watch_line("ADDED", config_map("a")))
        return web.json_response(config_map("a"))


async def test_a_renewed_token_file_is_read_after_a_401(nowhere: Path) -> None:
    """Where the server no longer takes the token, the token file is read again and the request is sent once more."""
    (nowhere / "token").write_text("old")
    server = Guarded("old")
    async with (
        serving(server.answer) as url,
        connected(write_kubeconfig(nowhere, url, {"tokenFile": str(nowhere / "token")})) as api,
    ):
        await api.get(CONFIG_MAPS, "default", "a")
        server.token = "new"
        (nowhere / "token").write_text("new")

        found = await api.get(CONFIG_MAPS, "default", "a")
        again = await api.get(CONFIG_MAPS, "default", "a")

    assert found == again == config_map("a")
    assert server.refused == 1


async def test_a_credential_command_runs_again_after_a_401(nowhere: Path) -> None:
    """A token of a credential command that the server refuses is asked for anew, whatever its expiry says."""
    command = nowhere / "credential.py"
    command.write_text(
        "import json\n"
        f"token = open({str(nowhere / 'token')!r}).read()\n"
        "status = {'token': token, 'expirationTimestamp': '2100-01-01T00:00:00Z'}\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential', 'status': status}))\n"
    )
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(command)]}}
    (nowhere / "token").write_text("old")
    server = Guarded("new")
    async with serving(server.answer) as url, connected(write_kubeconfig(nowhere, url, user)) as api:
        (nowhere / "token").write_text("new")

        events = [event async for event in api.watch(IN_DEFAULT, "1")]

    assert [event.type for event in events] == ["ADDED"]


async def test_a_token_that_stays_refused_is_an_error_after_one_request(nowhere: Path) -> None:
    """Where loading the credentials again brings nothing new, the request is not repeated."""
    server = Guarded("another")
    async with serving(server.answer) as url, connected(write_kubeconfig(nowhere, url)) as api:
        with pytest.raises(ApiError) as refused:
            await api.get(CONFIG_MAPS, "default", "a")

    assert (refused.value.status, server.requests) == (401, 1)
