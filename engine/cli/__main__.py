"""`python -m engine.cli` is `rulepack`."""

from __future__ import annotations

from engine.cli.main import main

main()
