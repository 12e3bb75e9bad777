"""A CEL expression, or one inside `${…}`, does not parse, names something that does not exist, or mixes types.

A field that may be absent is read with `get(object, 'status.phase', '')`; one that must be there with `object.status.phase`,
which has no answer where it is absent.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("expression", Severity.ERROR, __doc__)
