"""The line that every change goes along: watch → match → evaluate → plan → act → record (`line.py`)."""

from engine.reconcile.caches import Cached, Caches
from engine.reconcile.line import Reconciler, everything

__all__ = ["Cached", "Caches", "Reconciler", "everything"]
