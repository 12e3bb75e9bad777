"""What libyaml says of a text that is not YAML, in words that help whoever wrote it."""

from __future__ import annotations

#: What libyaml says -> what is wrong, and what was expected.
SYNTAX = {
    "mapping values are not allowed in this context": ("': ' stands where no mapping can begin", "quotes around such a text"),
    "did not find expected key": ("this does not continue the mapping", "a key, indented as the keys before it"),
    "did not find expected '-' indicator": ("this does not continue the list", "'- ', indented as the items before it"),
    "did not find expected ',' or ']'": ("the list '[…' does not go on or end here", "',' or ']'"),
    "did not find expected ',' or '}'": ("the mapping '{…' does not go on or end here", "',' or '}'"),
    "found character that cannot start any token": ("this character cannot begin a value", "quotes around a text; no tab"),
    "did not find expected alphabetic or numeric character": (
        "'*' and '&' begin a reference of YAML here",
        "quotes around a text that begins with it, such as '*/5 * * * *'",
    ),
    "found unexpected end of stream": ("the quoted text has no end", "a closing quote"),
    "found unknown escape character": ("there is no such escape in a text in double quotes", "single quotes"),
    "could not find expected ':'": ("this is a key without ':'", "'key: value'"),
    "did not find expected comment or line break": (
        "text stands after a value",
        "quotes around all of it; after '>' or '|' a line of its own",
    ),
    "block sequence entries are not allowed in this context": (
        "the first item of a list stands in the line of its key",
        "'- ' and the item in a line of its own below",
    ),
    "did not find expected whitespace or line break": (
        "'!' begins a tag of YAML, which does not go on so",
        "quotes around a text that begins with '!'",
    ),
    "did not find expected <document start>": ("text stands after the end of the document", "'---' before a further document"),
    "did not find expected node content": ("a value is missing here", "a value"),
}
