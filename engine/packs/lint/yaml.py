"""The text is not YAML, or more than a rule pack may be.

Rule packs are YAML 1.2 in UTF-8, of at most 1 MiB, with bounded depth and aliases, so that no text can stop the engine.
`on`, `yes` and dates are texts. A key may stand once in a mapping.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("yaml", Severity.ERROR, __doc__)
