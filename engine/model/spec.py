"""The base of every schema class: what users write in a rule pack, in camelCase, with unknown keys refused."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

NO_VALUE = "take the key away where you want none"
"""What to do with a key that has no value."""


class Spec(BaseModel):
    """A mapping in a rule pack. Field docstrings become the descriptions in the JSON Schema and the reference."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=False,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        arbitrary_types_allowed=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_null(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse null where it would be read as if the key were not there: who has written `where:` wants no rule without one."""
        field = cls.model_fields[str(info.field_name)]
        if value is None and field.default is None and field.annotation is not Any:
            context = {"message": "null stands here", "expected": f"a value; {NO_VALUE}"}
            raise PydanticCustomError("rulepack", "{message}", context)
        return value
