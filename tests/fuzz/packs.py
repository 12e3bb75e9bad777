"""Feeds texts that atheris mutates to parse, lint and evaluate: whatever the text, there are faults or none, and soon.

`make fuzz` runs it, from the packs of rules/ and tests/lint on. Arguments are libFuzzer's, such as -max_total_time=60.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine"]):
    from engine.cel import Scope, backend
    from engine.errors import EvaluationError, ExpressionError
    from engine.packs.lint import lint
    from engine.packs.sources import Text

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "build" / "fuzz" / "corpus"
BACKEND = backend()
OBJECT = {"metadata": {"name": "a", "uid": "u", "annotations": {"a/b": "c"}}, "spec": {"list": [1, 2.5, "x", None], "on": True}}
SCOPE = Scope({"object": OBJECT, "oldObject": None, "params": {}, "inputs": {}, "inputErrors": {}, "flags": {}})


def one(data: bytes) -> None:
    """One input: the first byte says whether it is a pack or an expression."""
    text = data[1:].decode("utf-8", "replace")
    if data[:1] < b"\x80":
        lint([Text("pack.yaml", text, "pack.yaml")], BACKEND)
        return
    with contextlib.suppress(ExpressionError, EvaluationError):
        BACKEND.compile(text, ("object", "oldObject", "params", "inputs", "inputErrors", "flags")).evaluate(SCOPE)


def seed() -> None:
    """Begin with every pack there is, and with the expressions in them."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate([*ROOT.glob("rules/*/pack.yaml"), *ROOT.glob("tests/lint/*/pack.yaml")]):
        text = path.read_text()
        (CORPUS / f"pack-{number}").write_bytes(b"\x00" + text.encode())
        for place, line in enumerate(text.splitlines()):
            key, _, expression = line.partition("when: ")
            if expression and not key.strip("- "):
                (CORPUS / f"expression-{number}-{place}").write_bytes(b"\xff" + expression.encode())


if __name__ == "__main__":
    seed()
    atheris.Setup([*sys.argv, str(CORPUS)], one)
    atheris.Fuzz()
