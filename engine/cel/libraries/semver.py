"""Semantic versions (semver.org, version 2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from semver import Version

from engine.cel import types
from engine.cel.declarations import KUBERNETES_SEMVER, function
from engine.cel.libraries.quantity import compare
from engine.cel.values import Mismatch, fits_int, fits_uint, register

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])", re.ASCII)
"""A part of a prerelease that is a number."""
#: Characters of a version: more than any has.
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Semver:
    """A semantic version; what it was built from (after `+`) does not count in comparisons."""

    version: Version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.version == other.version

    def __hash__(self) -> int:
        return hash((self.version.major, self.version.minor, self.version.patch, self.version.prerelease))

    def __lt__(self, other: Semver) -> bool:
        return bool(self.version < other.version)

    def __gt__(self, other: Semver) -> bool:
        return bool(self.version > other.version)


register(Semver, types.SEMVER)


def semver(text: str, normalize: bool = False) -> Semver:
    """The version that a text says. With `normalize`, `v1.2` and `01.2.0` are ones, too. Raises Mismatch where it says none."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        version = Version.parse(_normalized(text) if normalize else text)
        numbers = (version.major, version.minor, version.patch, *map(int, _NUMBER.findall(version.prerelease or "")))
        if not all(map(fits_uint, numbers)):
            raise ValueError
        return Semver(version)
    except ValueError:
        raise Mismatch(f"{text!r:.50} is not a semantic version such as 1.2.3") from None


def _normalized(text: str) -> str:
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        if len(part) > 1:
            rest = part.lstrip("0")
            parts[index] = rest if rest[:1].isdigit() else f"0{rest}"
    if len(parts) < 3 and any(sign in parts[-1] for sign in "+-"):
        raise ValueError
    return ".".join([*parts, "0", "0"][:3] if len(parts) < 3 else parts)


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        semver(text, normalize)
    except Mismatch:
        return False
    return True


def _number(value: int) -> int:
    if not fits_int(value):
        raise Mismatch("the number does not fit an integer of 64 bits")
    return value


FUNCTIONS = (
    function("semver", "The semantic version that a text says; with `true`, also one such as `v1.2`.",
             "semver('1.10.0').isGreaterThan(semver('1.9.3'))", KUBERNETES_SEMVER,
             {"semver(string) -> semver": semver, "semver(string, bool) -> semver": semver}),
    function("isSemver", "Whether a text is a semantic version.", "isSemver('1.0.0') && !isSemver('v1.0')", KUBERNETES_SEMVER,
             {"isSemver(string) -> bool": _is_semver, "isSemver(string, bool) -> bool": _is_semver}),
    function("major", "The first number of a version.", "semver('1.2.3').major() == 1", KUBERNETES_SEMVER,
             {"semver.major() -> int": lambda value: _number(value.version.major)}),
    function("minor", "The second number of a version.", "semver('1.2.3').minor() == 2", KUBERNETES_SEMVER,
             {"semver.minor() -> int": lambda value: _number(value.version.minor)}),
    function("patch", "The third number of a version.", "semver('1.2.3').patch() == 3", KUBERNETES_SEMVER,
             {"semver.patch() -> int": lambda value: _number(value.version.patch)}),
    function("isGreaterThan", "Whether a version comes after another.", "semver('1.0.0').isGreaterThan(semver('1.0.0-rc.1'))",
             KUBERNETES_SEMVER, {"semver.isGreaterThan(semver) -> bool": lambda value, other: value > other}),
    function("isLessThan", "Whether a version comes before another.", "semver('1.9.0').isLessThan(semver('1.10.0'))",
             KUBERNETES_SEMVER, {"semver.isLessThan(semver) -> bool": lambda value, other: value < other}),
    function("compareTo", "-1, 0 or 1 by the order of versions.", "semver('1.2.3').compareTo(semver('2.0.0')) == -1",
             KUBERNETES_SEMVER, {"semver.compareTo(semver) -> int": compare}),
)  # fmt: skip
