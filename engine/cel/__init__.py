"""The seam for CEL: compiled expressions, the scopes they are evaluated on, and `${…}` templates.

Nothing outside this package imports a CEL library. Both backends speak one language and give the same answers.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from engine.cel.asks import Ask, Field
from engine.cel.compiler import Compiled, Compiler, Path
from engine.cel.interpreter import Interpreter
from engine.cel.program import Cel, Program, Scope
from engine.cel.queries import ELEMENTS, until_list
from engine.cel.template import Template
from engine.errors import UsageError

__all__ = [
    "ELEMENTS",
    "Ask",
    "Cel",
    "Compiled",
    "Compiler",
    "Field",
    "Path",
    "Program",
    "Scope",
    "Template",
    "backend",
    "until_list",
]


def backend(name: str | None = None) -> Cel:
    """The backend of that name, 'celpy' or 'cel-cpp'; with no name that of the environment's RULEPACK_CEL, or else celpy.

    Raises UsageError where it is not there.
    """
    name = name or os.environ.get("RULEPACK_CEL") or "celpy"
    if name == "celpy":
        return Interpreter()
    if name != "cel-cpp":
        raise UsageError(f"there is no CEL backend {name!r}; expected celpy or cel-cpp")
    if find_spec("cel_expr_python") is None:
        raise UsageError("the CEL backend cel-cpp is not installed; install rulepack[cel-cpp], or use celpy")
    from engine.cel.cpp import CelCpp

    return CelCpp()
