"""The schema of `kind: RuleLibrary`: functions that rule packs share, as users write them."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import MACROS
from engine.cel.types import TYPE_NAMES
from engine.model.spec import Spec
from engine.packs.fields import RESERVED, Identifier, Text

KIND = "RuleLibrary"
NAME_PATTERN = "^[a-z][a-z0-9]*$"
TAKEN = frozenset([
    *RESERVED, *TYPE_NAMES,
    *(name.rpartition(".")[0] for name in (*FUNCTIONS, *MACROS) if name[0].isalpha() and "." in name),
])  # fmt: skip
"""Names that no library can have: those of CEL, and the variables of rules."""


def could_be(name: str) -> bool:
    """Return whether a library can have a name."""
    return re.match(NAME_PATTERN, name) is not None and name not in TAKEN


class ParameterSpec(Spec):
    """A parameter of a function."""

    name: Identifier
    """Its name in the expression."""
    type: Text = "dyn"
    """Its type in CEL, such as `string`, `list(string)`, `map` or `timestamp`; `dyn`, for any, where left out."""
    description: str = ""
    """What to give for it."""


class FunctionSpec(Spec):
    """A function: an expression with a name, which rule packs call as `library.function(…)`."""

    description: Text
    """What it says or gives, for those who read a call of it."""
    parameters: list[ParameterSpec] = Field(default=[], max_length=10)
    """What it is called with, in this order."""
    returns: Text = "dyn"
    """The type of its value in CEL."""
    expression: Text
    """CEL over the parameters, and over nothing else. It may call other functions, but not, by any way, itself."""


class LibrarySpec(Spec):
    """The functions."""

    description: str = ""
    """What they are for."""
    functions: dict[Identifier, FunctionSpec] = Field(min_length=1, max_length=200)
    """The functions by name."""


class LibraryMetadataSpec(Spec):
    """The library's name, and labels and annotations that are for others."""

    name: str = Field(pattern=NAME_PATTERN, max_length=63)
    """The library's name, which stands before each function: small letters and digits, a letter first."""
    labels: dict[str, str] = Field(default={})
    """Not read."""
    annotations: dict[str, str] = Field(default={})
    """Not read."""


class RuleLibrarySpec(Spec):
    """A library of functions that rule packs share."""

    api_version: Literal["rules.mlops.dev/v1alpha1"]
    """The version of this schema."""
    kind: Literal["RuleLibrary"]
    """`RuleLibrary`."""
    metadata: LibraryMetadataSpec
    """Its name."""
    spec: LibrarySpec
    """The functions."""
