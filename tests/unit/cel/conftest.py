from __future__ import annotations

import pytest

from engine.cel import Cel, backend


@pytest.fixture(scope="session")
def cel() -> Cel:
    """What compiles expressions."""
    return backend()
