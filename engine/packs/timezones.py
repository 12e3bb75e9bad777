"""Time zones by their names in the IANA database, and which one is meant by what people write in their place."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

from engine.model.text import nearest

ANY = "a name of the IANA database, such as Europe/Berlin"
_OFFSET = re.compile(r"(?:UTC|GMT|Z)?\s*([+-])\s*0?([0-9]{1,2})(?::?([0-9]{2}))?\Z", re.IGNORECASE)
#: Abbreviations that are no names, as they stand for several zones or for a part of the year -> the best known zone.
_SHORT = {
    "Z": "UTC", "CEST": "Europe/Berlin", "MEZ": "Europe/Berlin", "MESZ": "Europe/Berlin", "BST": "Europe/London",
    "WEST": "Europe/Lisbon", "EEST": "Europe/Helsinki", "MSK": "Europe/Moscow", "ET": "America/New_York",
    "EDT": "America/New_York", "CDT": "America/Chicago", "CT": "America/Chicago", "MDT": "America/Denver",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "PT": "America/Los_Angeles", "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "SGT": "Asia/Singapore", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney",
}  # fmt: skip


@lru_cache(maxsize=1)
def zones() -> frozenset[str]:
    """Return the names of the IANA time zones, those of the package tzdata, whatever the machine has."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


def expected(name: str) -> str:
    """Return what was expected where a name is that of no time zone."""
    if match := _OFFSET.match(name.strip()):
        return _fixed(*match.groups())
    short = _SHORT.get(name.strip().upper(), "")
    meant = short or _same_but_for_case(name) or (nearest(name, zones()) if len(name) > 4 else "")
    return f"{meant!r} (did you mean that?)" if meant else ANY


def _fixed(sign: str, hours: str, minutes: str | None) -> str:
    """Return the zone with a fixed offset from UTC: its name has the other sign, as POSIX has it."""
    name = f"Etc/GMT{'-' if sign == '+' else '+'}{hours}"
    if int(minutes or 0) or int(hours) == 0 or name not in zones():
        return ANY if int(hours) or int(minutes or 0) else "'UTC'"
    where = "ahead of" if sign == "+" else "behind"
    return f"{ANY}, or {name!r}: always {int(hours)} h {where} UTC, without summer time"


def _same_but_for_case(name: str) -> str:
    """Return the zone that a name is but for its case, blanks, or without its continent; '' where it is none, or several."""
    wanted = name.strip().replace(" ", "_").lower()
    alike = {zone for zone in zones() if zone.lower() == wanted}
    alike = alike or {zone for zone in zones() if "/" in zone and zone.rpartition("/")[2].lower() == wanted}
    return alike.pop() if len(alike) == 1 else ""
