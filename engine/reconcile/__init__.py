"""The pipeline of every change: watch → match → evaluate → plan → act → record (`reconciler.py`)."""

from engine.reconcile.caches import Cached, Caches, Replica
from engine.reconcile.reconciler import Reconciler

__all__ = ["Cached", "Caches", "Reconciler", "Replica"]
