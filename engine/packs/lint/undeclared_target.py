"""An action or a lookup needs a verb on a kind that `targets` does not grant.

`targets` bounds everything that a pack may touch, whatever a rule or an annotation says; the engine would refuse the action
each time. Add the kind and the verb to `targets`, if it is meant:

    targets:
      - {apiVersion: apps/v1, kind: Deployment, verbs: [get, patch]}
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("undeclared-target", Severity.ERROR, __doc__)
