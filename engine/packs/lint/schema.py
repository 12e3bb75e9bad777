"""A key is unknown or missing, or a value is not of the kind that belongs there.

The reference lists every key; `rulepack schema` writes the JSON Schema, with which editors complete keys and mark faults
as you type: put `# yaml-language-server: $schema=rulepack.schema.json` in the first line.
"""

from engine.packs.lint.base import Code, Severity

CODE = Code("schema", Severity.ERROR, __doc__)
