"""Settings of Applications that decide what Argo CD does with what others write onto the objects that it deploys.

Each does what its name says on every Argo CD that the tests run (test_settings.py); `ArgoCD.application` takes any of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.model.objects import Object


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of an Application."""

    options: tuple[str, ...] = ()
    """What it adds to spec.syncPolicy.syncOptions."""
    automated: Mapping[str, bool] = field(default_factory=dict)
    """What it adds to spec.syncPolicy.automated; any of it has Argo CD sync by itself."""
    comparison: tuple[str, ...] = ()
    """What it adds to the annotation argocd.argoproj.io/compare-options."""


#: Argo CD syncs new commits by itself, and puts back what somebody changes on the cluster.
SELF_HEAL = Setting(automated={"prune": True, "selfHeal": True})
#: It compares with what the API server would make of the manifest, not with the manifest.
SERVER_SIDE_DIFF = Setting(comparison=("ServerSideDiff=true",))
#: It applies on the server, as the manager of the fields that the manifest has.
SERVER_SIDE_APPLY = Setting(options=("ServerSideApply=true",))
#: It replaces whole objects, with all that others have written onto them.
REPLACE = Setting(options=("Replace=true",))


def with_settings(application: Object, settings: Sequence[Setting]) -> Object:
    """An Application with these settings."""
    options = [option for setting in settings for option in setting.options]
    automated = {key: value for setting in settings for key, value in setting.automated.items()}
    comparison = ",".join(option for setting in settings for option in setting.comparison)
    policy: dict[str, Any] = {"syncOptions": options, **({"automated": automated} if automated else {})}
    annotations = {"argocd.argoproj.io/compare-options": comparison} if comparison else {}
    return {
        **application,
        "metadata": {**application["metadata"], "annotations": annotations},
        "spec": {"syncPolicy": policy, **application["spec"]},
    }
