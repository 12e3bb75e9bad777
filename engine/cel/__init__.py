"""The seam for CEL: compiled expressions, the scopes they are evaluated on, and `${…}` templates.

Nothing outside this package imports a CEL library. Both backends speak one language and give the same answers.
"""

from __future__ import annotations

from importlib.util import find_spec

from engine.cel.compiler import Compiler, Path
from engine.cel.interpreter import Interpreter
from engine.cel.program import Cel, Program, Scope
from engine.cel.template import Template
from engine.errors import UsageError

__all__ = ["Cel", "Compiler", "Path", "Program", "Scope", "Template", "backend"]


def backend(name: str | None = None) -> Cel:
    """The backend of that name, 'cel-cpp' or 'celpy'; with no name the first of them that is installed.

    Raises UsageError where it is not there.
    """
    installed = find_spec("cel_expr_python") is not None
    if name == "celpy" or (name is None and not installed):
        return Interpreter()
    if name not in (None, "cel-cpp"):
        raise UsageError(f"there is no CEL backend {name!r}; expected cel-cpp or celpy")
    if not installed:
        raise UsageError("the CEL backend cel-cpp is not installed; install rulepack[fast], or use celpy")
    from engine.cel.fast import CelCpp

    return CelCpp()
