"""Something is used that the pack does not declare, or declared twice, or in a way that cannot be.

Metrics and their labels, registers, names of rules and targets, defaults that do not fit their own schema, vars that need
themselves.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("declaration", Severity.ERROR, __doc__)
