"""The seam for CEL: compiled expressions, the scopes they are evaluated on, and `${…}` templates."""

from __future__ import annotations

from engine.cel.asks import Ask, Field
from engine.cel.compiler import Compiled, Compiler, Path
from engine.cel.inline import Defined, Functions
from engine.cel.interpreter import Interpreter
from engine.cel.program import Backend, Cel, Program, Scope, asked
from engine.cel.queries import ELEMENTS, EXISTS, fields_of
from engine.cel.template import Template

__all__ = [
    "ELEMENTS",
    "EXISTS",
    "Ask",
    "Backend",
    "Cel",
    "Compiled",
    "Compiler",
    "Defined",
    "Field",
    "Functions",
    "Path",
    "Program",
    "Scope",
    "Template",
    "asked",
    "backend",
    "fields_of",
]


def backend() -> Backend:
    """What compiles expressions."""
    return Interpreter()
