"""Where the rule packs, and the demo's story, that come with the engine are."""

from __future__ import annotations

from pathlib import Path


def shipped_rules() -> Path:
    """The folder of the shipped packs: inside the installed package, or `rules/` beside it in a checkout.

    The wheel carries `rules/` as `engine/shipped_rules` (pyproject.toml, wheel.sources).
    """
    return _shipped("shipped_rules", "rules")


def shipped_story() -> Path:
    """The folder of the story that `rulepack demo` plays: `engine/shipped_story` of the wheel, or `examples/demo/`."""
    return _shipped("shipped_story", "examples/demo")


def _shipped(installed: str, in_checkout: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    folder = package / installed
    return folder if folder.is_dir() else package.parent / in_checkout
