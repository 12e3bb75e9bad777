"""What KubernetesApi makes of answers that a healthy API server does not give."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from engine.errors import ApiError
from engine.kube.api import PatchType
from tests.cluster.fakes import CONFIG_MAPS, IN_DEFAULT, Handler, config_map, connected, failure, serving, write_kubeconfig


async def error_of_get(handler: Handler, folder: Path) -> ApiError:
    """The error that a GET ends with where this handler answers it."""
    async with serving(handler) as url, connected(write_kubeconfig(folder, url)) as api:
        with pytest.raises(ApiError) as failed:
            await api.get(CONFIG_MAPS, "default", "a")
    return failed.value


async def test_retry_after_is_handed_on(tmp_path: Path) -> None:
    """The seconds that a busy server asks to wait stand in the error, with the server's own message."""

    async def busy(_: web.Request) -> web.StreamResponse:
        return web.json_response(failure(429, "TooManyRequests", "come back"), status=429, headers={"Retry-After": "7"})

    error = await error_of_get(busy, tmp_path)

    assert (error.status, error.reason, error.message, error.retry_after) == (429, "TooManyRequests", "come back", 7.0)


async def test_retry_after_in_the_details_is_handed_on(tmp_path: Path) -> None:
    """Where only the Status says how long to wait, that counts."""

    async def busy(_: web.Request) -> web.StreamResponse:
        return web.json_response(failure(500, "ServerTimeout", "later", retryAfterSeconds=3), status=500)

    assert (await error_of_get(busy, tmp_path)).retry_after == 3.0


async def test_an_error_page_of_a_proxy_is_an_error_with_its_text(tmp_path: Path) -> None:
    """An error that is not a Status keeps its code and text."""

    async def gateway(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="upstream away")

    error = await error_of_get(gateway, tmp_path)

    assert (error.status, error.reason, error.message) == (502, "BadGateway", "upstream away")


async def test_a_login_page_is_not_taken_for_an_object(tmp_path: Path) -> None:
    """An answer that is not JSON is an error that names the server."""

    async def login(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>log in</html>", content_type="text/html")

    error = await error_of_get(login, tmp_path)

    assert error.status == 0
    assert "http://127.0.0.1" in error.message and "not JSON" in error.message


@pytest.mark.parametrize("text", ["null", "[]", '"text"', "1", "", "{", '{"items": [', '{"a": "\xff"}'])
async def test_an_answer_that_is_no_object_is_an_error_like_any_other(text: str, tmp_path: Path) -> None:
    """Whatever a proxy makes of a 200, it is an error that is worth another try, and names the server."""

    async def broken(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text.encode("latin-1"), content_type="application/json")

    error = await error_of_get(broken, tmp_path)

    assert (error.status, error.reason, error.retryable) == (0, "InvalidAnswer", True)
    assert "expected a Kubernetes API server there" in error.message


@pytest.mark.parametrize("line", ["null", "[]", "{}", '{"type": "ADDED"}', '{"type": "ADDED", "object": null}', "<html>", "{"])
async def test_a_line_of_a_watch_that_is_no_event_is_an_error_like_any_other(line: str, tmp_path: Path) -> None:
    """The watch ends with an error, after which it is begun anew, and nothing else ends."""

    async def broken(request: web.Request) -> web.StreamResponse:
        return web.Response(text=f"{line}\n", content_type="application/json")

    async with serving(broken) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        with pytest.raises(ApiError) as failed:
            await anext(api.watch(IN_DEFAULT, "1"))

    assert (failed.value.status, failed.value.reason) == (0, "InvalidAnswer")


async def test_nobody_listening_names_the_host(tmp_path: Path) -> None:
    """Where no server runs, the error names its address and is worth another try."""
    async with connected(write_kubeconfig(tmp_path, "http://127.0.0.1:1")) as api:
        with pytest.raises(ApiError) as failed:
            await api.list(IN_DEFAULT)

    assert (failed.value.status, failed.value.retryable) == (0, True)
    assert "cannot connect to http://127.0.0.1:1" in failed.value.message


@pytest.mark.parametrize("name", ["", "..", "a/../../nodes/b", "a%2Fb"])
async def test_a_name_never_leads_to_another_path(tmp_path: Path, name: str) -> None:
    """A name that would change the path of a request is refused before anything is sent."""
    seen: list[str] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append(request.path)
        return web.json_response(config_map("a"))

    async with serving(record) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        with pytest.raises(ApiError) as refused:
            await api.delete(CONFIG_MAPS, "default", name)

    assert (refused.value.status, seen) == (400, [])


async def test_characters_that_mean_something_in_a_url_are_quoted(tmp_path: Path) -> None:
    """A name with a colon, a question mark or a space (an RBAC role may have any) stays one segment of the path."""
    seen: list[str] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append(request.match_info["path"])
        return web.json_response(config_map("a"))

    async with serving(record) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        await api.get(CONFIG_MAPS, "default", "system:a b?c")

    assert seen == ["api/v1/namespaces/default/configmaps/system:a b?c"]


async def test_what_is_asked_for_stands_in_the_request(tmp_path: Path) -> None:
    """Requests carry our name as user agent and field manager, the dry run, and `force` with a forced apply only."""
    seen: list[tuple[str, dict[str, str]]] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["User-Agent"].partition("/")[0], dict(request.query)))
        return web.json_response(config_map("a"))

    async with serving(record) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        await api.patch(CONFIG_MAPS, "default", "a", {}, dry_run=True)
        await api.patch(CONFIG_MAPS, "default", "a", config_map("a"), type=PatchType.FORCED_APPLY)

    assert seen == [
        ("rulepack", {"fieldManager": "rulepack", "dryRun": "All"}),
        ("rulepack", {"fieldManager": "rulepack", "force": "true"}),
    ]


async def test_the_proxy_of_the_kubeconfig_is_used(tmp_path: Path) -> None:
    """Where the kubeconfig names a proxy, requests go to it, addressed to the cluster."""
    seen: list[str] = []

    async def proxy(request: web.Request) -> web.StreamResponse:
        seen.append(request.host)
        return web.json_response(config_map("a"))

    async with (
        serving(proxy) as url,
        connected(write_kubeconfig(tmp_path, "http://cluster.invalid", cluster={"proxy-url": url})) as api,
    ):
        await api.get(CONFIG_MAPS, "default", "a")

    assert seen == ["cluster.invalid"]


@pytest.mark.parametrize("variables", [{"no_proxy": ""}, {"no_proxy": "cluster.invalid"}])
async def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """http_proxy and no_proxy count where the kubeconfig names no proxy."""

    async def proxy(_: web.Request) -> web.StreamResponse:
        return web.json_response(config_map("a"))

    async with serving(proxy) as url:
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", variables["no_proxy"])
        async with connected(write_kubeconfig(tmp_path, "http://cluster.invalid")) as api:
            if variables["no_proxy"]:
                with pytest.raises(ApiError, match=r"cannot connect to http://cluster\.invalid"):
                    await api.get(CONFIG_MAPS, "default", "a")
            else:
                assert await api.get(CONFIG_MAPS, "default", "a") == config_map("a")
