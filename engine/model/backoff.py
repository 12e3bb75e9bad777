"""Pauses between attempts that fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff: `first` seconds after the first failure, doubled after each further one, never above `longest`."""

    first: float
    longest: float

    def pause(self, failures: int, jitter: float = 0.0) -> float:
        """Return the seconds to wait after so many failures in a row (at least 1); `jitter` is the part (0 to 1) to take off."""
        return min(self.first * 2.0 ** min(failures - 1, 64), self.longest) * (1 - jitter)
