"""Manifests as YAML that kubectl, and readers of YAML 1.2, read alike."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

_DOUBTFUL = re.compile(r"[-+.\d]|[yYnN]$")
"""Texts that YAML 1.1 and 1.2, or two readers of one of them, may take for numbers, dates or booleans."""


class _Dumper(yaml.SafeDumper):
    """Writes what kubectl, which reads YAML 1.1, and readers of YAML 1.2 read alike."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Write several lines as a block, so that conditions stay as readable as they were."""
    style = "|" if "\n" in value else '"' if _DOUBTFUL.match(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(manifest: Mapping[str, Any], *, marked: bool = True) -> str:
    """Return a manifest as a document of YAML, with its beginning `marked` where others may follow."""
    return yaml.dump(dict(manifest), Dumper=_Dumper, explicit_start=marked, sort_keys=False, allow_unicode=True, width=math.inf)
