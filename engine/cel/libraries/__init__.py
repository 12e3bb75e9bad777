"""All functions of expressions: one file for each library, one table of them all."""

from engine.cel.declarations import Table
from engine.cel.libraries import (
    encoders,
    format,
    formats,
    lists,
    math,
    net,
    operators,
    optionals,
    own,
    quantity,
    regex,
    semver,
    sets,
    standard,
    strings,
    time,
    url,
)

_LIBRARIES = (
    operators, standard, strings, format, regex, time, lists, sets, math, encoders, optionals, url, net, quantity, semver,
             formats, own,
)  # fmt: skip
FUNCTIONS = Table(each for library in _LIBRARIES for each in library.FUNCTIONS)
