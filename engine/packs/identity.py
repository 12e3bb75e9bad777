"""What a pack, and each thing that belongs to it, is called: by namespace and name, so that no two packs share anything.

The namespace is '' for packs in the operator's namespace and for those that are shipped: they keep the names that they have
without one. In each form the characters that join the parts cannot stand in a name of a namespace, a pack or a rule, which
are DNS labels.
"""

from __future__ import annotations

from engine.model.names import digest

LONGEST_RECORD = 63
"""Characters of the name part of an annotation's key. Source: kubernetes, apimachinery/pkg/util/validation/validation.go."""


def identity(namespace: str, name: str) -> str:
    """Return what everything is kept and shown by: `name`, or `namespace/name`."""
    return f"{namespace}/{name}" if namespace else name


def config_key(namespace: str, name: str) -> str:
    """Return the key of a pack, or of its feature flag, in a ConfigMap, where no slash can stand."""
    return f"{namespace}.{name}" if namespace else name


def record_name(namespace: str, pack: str, rule: str) -> str:
    """Return the name of a rule's firing record: `pack.rule`, or `namespace.pack.rule`.

    Where the latter is too long, a digest stands before '_' and as much of the rule's name as there is room for.
    """
    name = config_key(namespace, f"{pack}.{rule}")
    if not namespace or len(name) <= LONGEST_RECORD:
        return name
    short = digest(namespace, pack, rule)
    return f"{short}_{rule[: LONGEST_RECORD - len(short) - 1].rstrip('-')}"


def metric_name(namespace: str, metric: str) -> str:
    """Return the name under which a pack's metric is exposed: `metric`, or `namespace:metric`, with '_' for '-'.

    A '_' comes first where the namespace begins with a digit, with which no metric can begin.
    """
    if not namespace:
        return metric
    prefix = namespace.replace("-", "_")
    return f"{'_' if prefix[0].isdigit() else ''}{prefix}:{metric}"
