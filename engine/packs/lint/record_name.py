"""The names of a pack and a rule are together too long for the annotation that records what has fired.

The record is kept in `fired.rules.mlops.dev/<pack>.<rule>`, and Kubernetes takes at most 63 characters after the slash.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("record-name", Severity.ERROR, __doc__)
