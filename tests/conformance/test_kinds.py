"""The kinds of Kubernetes that lint knows are those of its Python client, whose import would take longer than lint itself."""

from __future__ import annotations

import json
import sys
from subprocess import run

from tests.conformance.kinds import FILE, published


def test_every_kind_and_field_of_the_client_is_known() -> None:
    """`python -m tests.conformance.kinds` writes them anew after an update of the package."""
    assert json.loads(FILE.read_text()) == published()


def test_the_command_does_not_import_the_client() -> None:
    """Neither lint nor tests do, nor the operator: nothing of it is needed but the types."""
    code = "import sys, engine.cli.main, engine.cli.lint, engine.cli.test, engine.cli.run; print('kubernetes' in sys.modules)"
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
