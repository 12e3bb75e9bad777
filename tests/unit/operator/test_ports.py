"""What the operator's two ports answer, and to whom, with its default settings."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import Fixture


async def status(url: str) -> int:
    """The status of an answer, whoever has signed the certificate."""
    async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as response:
        return response.status


def urls(operator: Operator, scheme: str) -> tuple[str, str]:
    """Where probes are answered, and metrics."""
    return f"http://127.0.0.1:{operator.probes.port}", f"{scheme}://127.0.0.1:{operator.server.port}"


async def test_each_port_has_its_own_paths(tmp_path: Path) -> None:
    """Nothing but the probes on theirs, and no probe beside the metrics."""
    fixture = Fixture(tmp_path)
    operator = fixture.operator()
    async with fixture.running(operator):
        probes, metrics = urls(operator, "http")
        found = {
            path: (await status(probes + path), await status(metrics + path))
            for path in ("/healthz", "/readyz", "/metrics", "/packs", "/", "/debug")
        }
    assert found == {
        "/healthz": (200, 404), "/readyz": (200, 404), "/metrics": (404, 200), "/packs": (404, 200),
        "/": (404, 404), "/debug": (404, 404),
    }  # fmt: skip


async def test_metrics_are_for_nobody_unknown_unless_a_setting_says_so(tmp_path: Path) -> None:
    """By default there is TLS, and whoever shows no token is refused, also for paths that there are not."""
    fixture = Fixture(tmp_path)
    operator = fixture.operator(insecure_metrics=False)
    async with fixture.running(operator):
        _, metrics = urls(operator, "https")
        assert [await status(metrics + path) for path in ("/metrics", "/packs", "/other")] == [401, 401, 401]
        with pytest.raises(aiohttp.ClientError):
            await status(metrics.replace("https", "http") + "/metrics")
