"""The documents in the data of ConfigMaps that hold rule packs and libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.errors import Fault, InvalidText
from engine.model.text import found
from engine.packs.diagnostics import SCHEMA
from engine.packs.document import Document, YamlDocument
from engine.packs.sources import SUFFIXES
from engine.packs.yamltext import read_yaml

LABEL = "rules.mlops.dev/rule-pack"
"""The label (value "true") of ConfigMaps that hold rule packs."""


def documents_within(document: Document, raw: dict[str, Any], faults: list[Fault]) -> Iterator[YamlDocument]:
    """Yield the documents in the data of a ConfigMap's manifest that has the label; add a fault for what is no text."""
    metadata, data = raw.get("metadata"), raw.get("data")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(labels, dict) or labels.get(LABEL) != "true" or not isinstance(data, dict):
        return
    for key, text in data.items():
        if key.endswith(SUFFIXES) and not isinstance(text, str):
            faults.append(Fault(document.locate(("data", key)), f"{found(text)} stands here", "a text, after '|'", SCHEMA))
        elif key.endswith(SUFFIXES):
            try:
                yield from read_yaml(text, document.within(("data", key)))
            except InvalidText as invalid:
                faults += invalid.faults
