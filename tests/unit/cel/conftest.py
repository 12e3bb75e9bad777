from __future__ import annotations

import pytest

from engine.cel import Cel, backend


@pytest.fixture(params=["cel-cpp", "celpy"], scope="session")
def cel(request: pytest.FixtureRequest) -> Cel:
    return backend(request.param)
