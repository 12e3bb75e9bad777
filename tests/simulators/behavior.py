"""What tests have pods do."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behavior:
    """What becomes of a pod; times are in seconds."""

    load: float = 0.5
    """From the start of its containers until it is Ready."""
    stop: float = 0.3
    """From its deletion until it is gone, if its own grace period is not shorter."""
    runs: float = math.inf
    """From the start of its containers until they exit."""
    exit_code: int = 0
    message: str = ""
    """What its containers leave as their termination message."""
    log: str = ""
    """What its containers print."""
    back_off: float = 1.0
    """From an exit until the containers start again, where the pod's restartPolicy says so."""
    unschedulable: str = ""
    """Why the scheduler finds no node for it; '' where it finds one."""
