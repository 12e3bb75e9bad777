"""The type checker: the types of expressions by those of their variables, which OpenAPI schemas give."""

from engine.cel.checker.checker import Checker
from engine.cel.checker.faults import Missing, TypeFault
from engine.cel.checker.matching import elements, union
from engine.cel.checker.openapi import type_of_kind, type_of_schema

__all__ = ["Checker", "Missing", "TypeFault", "elements", "type_of_kind", "type_of_schema", "union"]
