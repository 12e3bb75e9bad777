"""The last good texts of packs whose newest is refused: they are in force, and only the running engine has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.model.objects import Object, dig, kind_of, metadata, names_of
from engine.packs.rbac import RULE_PACK

LastGood = Mapping[str, Mapping[str, Any]]
"""By file the text of a ConfigMap, or the spec of a RulePack with its generation, as /packs has them."""


def earlier(objects: Iterable[Object], kept: LastGood) -> list[Object]:
    """Return RulePacks and ConfigMaps as they were when their texts were good last; one that is good now as it is."""
    return [_earlier(obj, kept) for obj in objects]


def _earlier(obj: Object, kept: LastGood) -> Object:
    source = "/".join((kind_of(obj).kind.lower(), *names_of(obj)))
    if kind_of(obj) != RULE_PACK:
        texts = {file.removeprefix(f"{source}/"): each for file, each in kept.items() if file.startswith(f"{source}/")}
        return {**obj, "data": {**dig(obj, ("data",), {}), **{key: each["text"] for key, each in texts.items()}}}
    if source not in kept:
        return obj
    # what kubectl and others have noted on it is about the newest spec
    noted = ("annotations", "managedFields")
    own = {key: value for key, value in metadata(obj).items() if key not in noted}
    return {**obj, "spec": kept[source]["spec"], "metadata": {**own, "generation": kept[source]["generation"]}}
