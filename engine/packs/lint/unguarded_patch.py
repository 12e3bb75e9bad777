"""A JSON patch has no `guard`.

The operations of a JSON patch name places, such as the third item of a list, and do something else where the object has
changed. A `guard` says in CEL what must be true of the live `target`; it is checked together with the resourceVersion that
was seen. Or use a merge patch, which says what is wanted.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("unguarded-patch", Severity.ERROR, __doc__)
