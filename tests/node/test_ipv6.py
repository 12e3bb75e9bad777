"""On a node whose pods and Services have IPv6 addresses and no others."""

from __future__ import annotations

import pytest

from tests.node.load import Load
from tests.node.node import Node
from tests.node.operator import CONFIG, NAMESPACE, Operator, served
from tests.node.settings import IPV6, Family


@pytest.fixture(scope="session")
def family() -> Family:
    """IPv6 alone."""
    return IPV6


def test_it_works_on_ipv6_alone(node: Node) -> None:
    """Both pods are Ready by probes to IPv6 addresses, the API server is reached at one, and so are metrics."""
    node.kubectl("apply", "-k", str(CONFIG / "default"))
    operator = Operator(node)
    addresses = [address["ip"] for pod in operator.settled() for address in pod["status"]["podIPs"]]
    assert len(addresses) == 2
    assert all(":" in address for address in addresses)
    assert [served(operator, address).ask("/readyz") for address in addresses] == ["ok\n"] * 2
    service = node.plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/services/rulepack-metrics")
    assert ":" in service["spec"]["clusterIP"]
    assert "rulepack_leader" in served(operator, service["spec"]["clusterIP"]).ask("/metrics")
    with Load(node, "ipv6") as load:
        load.wait_for(2)
        load.all_done("IPv6 alone")
