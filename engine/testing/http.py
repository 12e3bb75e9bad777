"""Plays the servers that HTTP requests are for: what they answer, and what they were sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from engine.kube.clock import Clock
from engine.model.outcome import Obstacle, Outcome, Unavailable
from engine.model.send import Send, text_of
from engine.outbound.answers import Answer, outcome_of
from engine.outbound.sender import Reveal
from engine.testing.schema import AnswerSpec


@dataclass(frozen=True, slots=True)
class Played:
    """What requests whose URL begins with `url` are answered, `times` times (None: always); status 0: not at all."""

    answer: Answer
    url: str = ""
    times: int | None = 1


def played(spec: AnswerSpec) -> Played:
    """Return what a step of a test plays."""
    text = json.dumps(spec.json_) if "json_" in spec.model_fields_set else spec.text or ""
    retry_after = "" if spec.retry_after is None else str(round(spec.retry_after))
    return Played(Answer(0 if spec.no_answer else spec.status, text, retry_after), spec.url, spec.times)


class PlayedHttp:
    """Answers each request as is played, else with 200 and nothing. No Secret is read, and nothing is sent.

    `requests` has what it was sent, with the names of secrets in place of their values.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._played: list[Played] = []
        self.requests: list[dict[str, Any]] = []

    def play(self, played: Played) -> None:
        """Play an answer, after those that are played already."""
        self._played.append(played)

    def refusal(self, send: Send) -> str:
        """Return '': which hosts an administrator lists is not known here."""
        return ""

    async def send(self, send: Send, reveal: Reveal, check_lease: Callable[[], None]) -> Outcome:
        """Keep a request, and return what its answer means."""
        check_lease()
        self.requests.append(_data(send))
        answer = self._next(text_of(send.url))
        if answer.status == 0:
            return Unavailable(f"{send} has no answer", self._clock.monotonic(), Obstacle.NO_ANSWER)
        return outcome_of(send, answer, self._clock.monotonic(), self._clock.time())

    def _next(self, url: str) -> Answer:
        for number, played in enumerate(self._played):
            if url.startswith(played.url):
                if played.times is not None:
                    left = [replace(played, times=played.times - 1)] if played.times > 1 else []
                    self._played[number : number + 1] = left
                return played.answer
        return Answer(200)


def _data(send: Send) -> dict[str, Any]:
    text = text_of(send.body)
    body = {"json": json.loads(text)} if send.as_json else {"text": text}
    headers = {name: text_of(value) for name, value in send.headers.items()}
    return {"method": send.method, "url": text_of(send.url), "headers": headers, **body}
