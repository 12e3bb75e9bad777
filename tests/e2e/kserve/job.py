"""A job that triggers something, and what Events say of it."""

from __future__ import annotations

import time

from engine.model.objects import Kind
from tests.e2e.cluster import Cluster, now
from tests.world import SERVICE, job, trigger, triggers

#: Seconds until a restart must have come to an end, or have said why it waits.
PATIENCE = 150.0


def succeed(cluster: Cluster, action: str = "restart", kind: Kind = SERVICE, name: str = "model") -> None:
    """A job `train` succeeds that triggers something, later than anything was created: times are in whole seconds."""
    time.sleep(1.1)
    completed = now()
    time.sleep(1.1)
    asked = triggers(trigger(kind, name, action))
    cluster.create(job(phase="Succeeded", completed=completed, annotations=asked, namespace=cluster.namespace))


def reported(cluster: Cluster) -> list[str]:
    """The reasons of the Events about the job, but for those that say that something has begun."""
    return [reason for reason, _ in cluster.events("train") if reason != "TriggerStarted"]
