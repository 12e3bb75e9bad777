"""The mode a feature flag sets for a rule pack."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """What a pack's rules do: act, only report what they would do, or nothing."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"
    OFF = "Off"


_SPELLINGS = {"enforce": Mode.ENFORCE, "true": Mode.ENFORCE, "on": Mode.ENFORCE, "audit": Mode.AUDIT,
              "off": Mode.OFF, "false": Mode.OFF}  # fmt: skip


def parse_mode(text: str) -> Mode | None:
    """The mode a flag's text names, in any case ("true" is Enforce, "false" is Off); None where it names none."""
    return _SPELLINGS.get(text.strip().lower())
