"""The annotations of the sync-waves pack as a kopf operator, written by hand in the way that costs kopf least.

`kopf.on.event` keeps no progress and no copy of the object in annotations, as `on.update` would, so a change costs one patch;
in exchange kopf does not retry such a handler. Run by `kopf run`; this file must not import anything of the project.
"""

from __future__ import annotations

from typing import Any

import kopf

COMPLETE, COMPLETED = "mlops.dev/wave-complete", "mlops.dev/completion-time"
FAILED, FAILURE = "mlops.dev/wave-failed", "mlops.dev/failure-time"


@kopf.on.event("mlops.mlops.dev", "v1alpha1", "notebookvalidationjobs")
async def waves(meta: kopf.Meta, status: kopf.Status, patch: kopf.Patch, **_: Any) -> None:
    """Say which wave a job has completed or failed, and when."""
    wave = meta.annotations.get("argocd.argoproj.io/sync-wave")
    when = status.get("completionTime")
    if not wave or status.get("phase") not in ("Succeeded", "Failed"):
        return
    wanted = {COMPLETE: wave, COMPLETED: when, FAILED: None, FAILURE: None}
    if status["phase"] == "Failed":
        wanted = {COMPLETE: None, COMPLETED: None, FAILED: wave, FAILURE: when}
    if any(meta.annotations.get(name) != value for name, value in wanted.items()):
        patch.metadata.annotations.update(wanted)
