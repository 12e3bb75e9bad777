"""The action `http`: send a request to a server outside of the cluster's API, and give its answer to the actions after it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.cel import Compiler, Path, Program, Scope, Template
from engine.cel.times import to_duration
from engine.cel.types import DYN, INT, STRING, Type
from engine.cel.values import Mismatch
from engine.errors import EvaluationError
from engine.model.names import digest
from engine.model.objects import SECRET
from engine.model.outcome import Done
from engine.model.plan import Answers, Plan, Read
from engine.model.send import Assumed, Sealed, SecretKey, Send, text_of
from engine.model.spec import Spec
from engine.model.text import found, suggestion
from engine.model.urls import UrlFault, known_part, read_url

IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST, LARGEST = 30.0, 256 * 1024
"""Seconds that a request may take at most, and bytes that a body may have."""
#: Headers that say how a message is sent, or where to, which is the engine's to say (RFC 9110, 9112).
_OWN = frozenset({
    "connection", "content-length", "expect", "host", "idempotency-key", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "accept-encoding",
})  # fmt: skip
#: What may stand in a header: no control character but a tab, so that no value begins another header; nor half a
#: character, which has no bytes.
_NO_HEADER = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]")
_NO_URL = re.compile(r"[\x00-\x20\x7f]")
_WHOLE = re.compile(r"\s*secrets\.(\w+)\s*")
#: What stands for a secret until a text is taken apart. It is new in each process, so that no object can hold it.
_MARK = secrets.token_hex(16)
_MARKED = re.compile(rf"{_MARK}:(\w+);")


def _matching(pattern: str, what: str) -> AfterValidator:
    """Return what refuses a text that does not match."""

    def checked(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{found(value)} is not {what}")
        return value

    return AfterValidator(checked)


SecretName = Annotated[str, _matching(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "the name of a Secret, without a namespace")]
DataKey = Annotated[str, _matching(r"[-._a-zA-Z0-9]{1,253}", "a key of a Secret: letters, digits, '-', '_' and '.'")]
Header = Annotated[str, _matching(r"[-!#%&'*+.^_`|~0-9A-Za-z]{1,100}", "the name of a header, such as Authorization")]
Alias = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_]{0,62}", "a name for an expression: letters, digits and '_'")]


class SecretKeySpec(Spec):
    """One key of a Secret in the pack's own namespace, which is the operator's. `rulepack rbac` writes the right to get it."""

    name: SecretName
    """The Secret."""
    key: DataKey
    """The key below its `data`. A line break at the end of the value is left out."""


class HttpSpec(Spec):
    """Send an HTTP request, at least once: a repeat has the same header `Idempotency-Key`.

    It waits until the administrator lists the host and the port (`rulepack run --http-allow`). Redirects are not followed.
    What does not answer, and 408, 429 and 5xx, is tried again without end; any other status that is not expected is final.
    Of the answer, `text` has at most 16 KiB, and `json` is what it says, null where it is none. In Audit nothing is sent, and
    the answer is taken to be an empty one with the first status that is expected.
    """

    url: Annotated[str, Field(min_length=1)]
    """Where to; may hold `${…}`, and begins with `https://` unless the administrator lists it otherwise."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    """The method."""
    headers: Annotated[dict[Header, str], Field(max_length=50)] = Field(default={})
    """Headers; a value may hold `${…}`."""
    json_: Any = Field(default=None, alias="json")
    """A body of JSON: any value, in which strings may hold `${…}`."""
    text: str | None = None
    """A body of text, which may hold `${…}`, in place of `json`."""
    secrets: Annotated[dict[Alias, SecretKeySpec], Field(max_length=20)] = Field(default={})
    """Secrets, for `${secrets.<name>}` in `url`, `headers`, `json` and `text`: put in when it is sent, and shown nowhere."""
    timeout: str = "10s"
    """How long all of it may take, at most 30s."""
    expected: Annotated[list[Annotated[int, Field(ge=200, le=599)]], Field(min_length=1, max_length=50)] | None = None
    """Status codes that are a success; 200 to 299 where it is left out."""

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.text is not None and "json_" in self.model_fields_set:
            raise ValueError("a request has either json or text")
        return self


@dataclass(frozen=True, slots=True)
class HttpAction:
    """`http`. `where` is its place in the rule."""

    where: str
    method: str
    url: Template
    headers: Template
    body: Template | None
    as_json: bool
    secrets: Mapping[str, SecretKey]
    timeout: float
    expected: frozenset[int]
    first: int

    name: ClassVar[str] = "http"
    Schema: ClassVar[type[Spec]] = HttpSpec
    written: ClassVar[frozenset[str]] = frozenset({"url", "headers", "json", "text"})
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {"status": INT, "text": STRING, "json": DYN}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        for name in spec.headers:
            if name.lower() in _OWN:
                compiler.fault((*path, "headers", name), f"the header {name} is the engine's to send", "another header")
        url = read_url(known) if (known := known_part(spec.url)) else None
        if isinstance(url, UrlFault):
            compiler.fault((*path, "url"), f"the request {url.message}", url.expected)
        as_json = spec.text is None and "json_" in spec.model_fields_set
        parts = {"url": spec.url, "headers": spec.headers}
        parts |= {"json": spec.json_} if as_json else {} if spec.text is None else {"text": spec.text}
        compiled = {name: compiler.template(value, (*path, name), ("secrets",)) for name, value in parts.items()}
        for name, template in compiled.items():
            for program in template.programs:
                _check_secret(program, spec.secrets, compiler, (*path, name))
        return cls(
            ".".join(map(str, path[-3:])), spec.method, compiled["url"], compiled["headers"],
            compiled.get("json") or compiled.get("text"), as_json,
            {name: SecretKey(each.name, each.key) for name, each in spec.secrets.items()},
            _seconds(spec.timeout, compiler, (*path, "timeout")), frozenset(spec.expected or ()), (spec.expected or [200])[0],
        )  # fmt: skip

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: it writes no object."""
        return iter(())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: it writes no object that stands in the pack."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """get on each Secret, by its name."""
        return [Need(SECRET, "get", name=name) for name in sorted({each.name for each in self.secrets.values()})]

    def writes_own(self) -> bool:
        """Return False: it writes no object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it sends a request: whether a second one is harmless is the receiver's to know."""
        return "sends a request"

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """Nothing: secrets are read when the request is sent, so that no plan holds one."""
        return ()

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """Return one request; in Audit its outcome is taken for the answer."""
        seen = scope.child(secrets={name: f"{_MARK}:{name};" for name in self.secrets})
        url = self._sealed(self.url.render(seen))
        if _NO_URL.search("".join(part for part in url if isinstance(part, str))):
            raise EvaluationError("url holds a blank or a control character; expected them percent-encoded")
        body = self._body(seen)
        headers = {name: self._header(name, value) for name, value in self.headers.render(seen).items()}
        named = {name.lower() for name in headers}
        if body and "content-type" not in named:
            headers["Content-Type"] = ("application/json" if self.as_json else "text/plain; charset=utf-8",)
        repeat = () if cause.key else (text_of(url), text_of(body))
        headers[IDEMPOTENCY_KEY] = (digest(cause.ref.uid, cause.pack, cause.rule, cause.key, cause.item, self.where, *repeat),)
        send = Send(self.method, url, headers, body, self.as_json, self.timeout, self.expected, cause.hides)
        return Plan([send], Done(Assumed(status=self.first, text="", json=None)))

    def _header(self, name: str, value: Any) -> Sealed:
        text = value if isinstance(value, str) else json.dumps(value)
        if _NO_HEADER.search(text):
            raise EvaluationError(f"the header {name} would hold a line break or a control character; expected neither")
        return self._sealed(text)

    def _body(self, scope: Scope) -> Sealed:
        if self.body is None:
            return ()
        value = self.body.render(scope)
        text = json.dumps(value, ensure_ascii=False) if self.as_json else value if isinstance(value, str) else json.dumps(value)
        if (size := len(text.encode(errors="replace"))) > LARGEST:
            raise EvaluationError(f"the body would have {size} bytes; at most {LARGEST} are possible")
        return self._sealed(text)

    def _sealed(self, text: Any) -> Sealed:
        """A text with its marks as the secrets that they stand for."""
        if not isinstance(text, str):
            raise EvaluationError(f"url is {found(text)}; expected a text")
        parts = _MARKED.split(text)
        return tuple(self.secrets[part] if number % 2 else part for number, part in enumerate(parts) if part)


def _check_secret(program: Program, declared: Mapping[str, SecretKeySpec], compiler: Compiler, path: Path) -> None:
    """Add a fault where an expression does more with a secret than put it in as a whole, or names one that is not there."""
    if "secrets" not in program.variables:
        return
    whole = _WHOLE.fullmatch(program.source)
    if whole is None:
        compiler.fault(path, "an expression computes with a secret", "it as a whole, as ${secrets.token}")
    elif whole[1] not in declared:
        compiler.fault(path, f"the action has no secret {whole[1]!r}", suggestion(whole[1], declared))


def _seconds(text: str, compiler: Compiler, path: Path) -> float:
    try:
        seconds = to_duration(text).total_seconds()
    except Mismatch as fault:
        compiler.fault(path, str(fault), "a duration such as 10s")
        return LONGEST
    if not 0 < seconds <= LONGEST:
        compiler.fault(path, f"{text} is no time-out of a request", "more than 0s, and at most 30s")
    return seconds
