"""An expression compiles on one CEL backend and not on the other.

The engine runs on celpy, or on cel-cpp where RULEPACK_CEL asks for that. An expression that only one of them takes would make the
pack work here and fail there. Both are asked where both are installed.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("unportable-expression", Severity.ERROR, __doc__)
