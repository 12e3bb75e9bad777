from __future__ import annotations

import pytest

from engine.cel import Cel, backend
from engine.cel.cpp import CelCpp


@pytest.fixture(params=["cel-cpp", "cel-cpp, all forms", "celpy"], scope="session")
def cel(request: pytest.FixtureRequest) -> Cel:
    """Each backend, cel-cpp also with what the interpreter is quicker at."""
    return CelCpp(all_forms=True) if request.param == "cel-cpp, all forms" else backend(request.param)
