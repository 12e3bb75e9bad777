"""Label selectors as manifests write them, and as the API server takes them in a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from engine.model.names import bad_label
from engine.model.spec import Spec


class Requirement(Spec):
    """One requirement on a label."""

    key: str
    """The label's key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label relates to the values; `NotIn` and `DoesNotExist` also select objects without the label."""
    values: list[str] = Field(default=[], max_length=100)
    """The values, for `In` and `NotIn`."""

    @model_validator(mode="after")
    def _values_where_needed(self) -> Self:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError(f"operator {self.operator} has {'no' if not self.values else 'no use for'} values")
        return self


class SelectorSpec(Spec):
    """Labels by equality and by requirements, all of which must hold."""

    match_labels: dict[str, str] = Field(default={})
    """Labels with their values."""
    match_expressions: list[Requirement] = Field(default=[], max_length=50)
    """Requirements on labels."""


PARTS = frozenset(["matchLabels", "matchExpressions"])
"""What a selector has in the form of Kubernetes."""


def _form(selector: Any) -> str:
    """Return which of the two forms a selector is meant to have: that of Kubernetes has no plain values."""
    nested = isinstance(selector, Mapping) and any(isinstance(value, Mapping | list) for value in selector.values())
    return "<parts>" if nested or isinstance(selector, SelectorSpec) else "<labels>"


LabelSelector = Annotated[
    Annotated[dict[str, str], Tag("<labels>")] | Annotated[SelectorSpec, Tag("<parts>")], Discriminator(_form)
]
"""Labels with their values, or `matchLabels` and `matchExpressions` as Kubernetes has them."""


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a selector in the form of a request, such as `app=web,tier in (a,b),!old`. Raises ValueError for no selector.

    Source of the form: kubernetes, apimachinery/pkg/labels/selector.go.
    """
    return ",".join(sorted(_terms(selector)))


def _terms(selector: Mapping[str, Any]) -> Iterator[str]:
    structured = any(not isinstance(value, str) for value in selector.values()) and selector.keys() <= PARTS
    for key, value in ((selector.get("matchLabels") or {}) if structured else selector).items():
        yield f"{key}={_checked(key, value)}"
    for each in (selector.get("matchExpressions") or ()) if structured else ():
        key, values = each["key"], ",".join(_checked(each["key"], value) for value in each.get("values") or ())
        _checked(key, "")
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        yield forms[each["operator"]]


def _checked(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"label {key} has {value!r}, which is not a text")
    if problem := bad_label(key, value):
        raise ValueError(problem)
    return value
