"""All functions of expressions: one file for each library, one table of them all."""

from engine.cel.declarations import Table
from engine.cel.libraries import operators, optionals, own, regex, standard, strings, time

FUNCTIONS = Table(each for library in (operators, standard, strings, regex, time, optionals, own) for each in library.FUNCTIONS)
