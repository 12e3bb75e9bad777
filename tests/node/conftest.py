"""A node for each file of tests, in namespaces that `make node` makes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from scripts.bundle import IMAGE
from tests.bundle.catalog import NEW, OLD
from tests.e2e.kinds import install_kinds
from tests.node import sandbox
from tests.node.images import BASE, OPERATOR, PYTHON_IMAGE, Images
from tests.node.node import Node
from tests.node.operator import DEPLOYED
from tests.node.programs import programs
from tests.node.settings import IPV4, Family


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `node` whatever lies in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.node)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of the node when a test fails."""
    report = yield
    node = getattr(item, "funcargs", {}).get("node")
    if report.failed and node is not None:
        report.sections += [(f"end of the log of {name}", text) for name, text in node.logs().items()]
    return report


@pytest.fixture(scope="session")
def family() -> Family:
    """The family of IP of the node; a file of tests may have another."""
    return IPV4


@pytest.fixture(scope="session")
def node(family: Family) -> Iterator[Node]:
    """A node that has the operator's image, under the names of all its versions, and serves the kinds of the shipped packs.

    Where it is not possible every test that needs it fails: tests that were left out must not look like tests that passed.
    """
    assert sandbox.inside(), "a node needs namespaces of its own: run `make node`"
    with Node(programs(), Images(), family) as node:
        node.load(OPERATOR, *{DEPLOYED, *(f"{IMAGE}:v{version}" for version in (OLD, NEW))})  # a release may be one of the two
        node.load(BASE, PYTHON_IMAGE)
        install_kinds(node.plane)
        yield node
