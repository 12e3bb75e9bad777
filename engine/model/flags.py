"""The mode a feature flag sets for a rule pack."""

from __future__ import annotations

from enum import StrEnum

DISABLED = "Disabled"


class Mode(StrEnum):
    """What a pack's rules do: act, only report what they would do, or nothing."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"
    OFF = "Off"

    @classmethod
    def _missing_(cls, value: object) -> Mode | None:
        """Take `Disabled` for Off. The kind says so, since kubectl reads an unquoted `Off` as false (YAML 1.1)."""
        return cls.OFF if value == DISABLED else None

    @property
    def word(self) -> str:
        """It as every status says it, whichever way a pack or a flag was written."""
        return DISABLED if self is Mode.OFF else self.value


STRICTNESS = (Mode.ENFORCE, Mode.AUDIT, Mode.OFF)
"""The modes, a stricter one after those that it is stricter than."""
_SPELLINGS = {"enforce": Mode.ENFORCE, "true": Mode.ENFORCE, "on": Mode.ENFORCE, "audit": Mode.AUDIT,
              "off": Mode.OFF, "false": Mode.OFF, "disabled": Mode.OFF}  # fmt: skip


def parse_mode(text: str) -> Mode | None:
    """The mode a flag's text names, in any case ("true" is Enforce, "false" is Off); None where it names none."""
    return _SPELLINGS.get(text.strip().lower())
