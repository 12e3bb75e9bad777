"""Log lines for people or for machines: one line per event, on stderr."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from engine.model.text import clean

LEVELS = ("debug", "info", "warning", "error")


class TextFormatter(logging.Formatter):
    """`2026-01-24T22:30:00.000Z INFO    text`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, whatever the message holds; a traceback, at debug level only, follows in lines of its own."""
        text = f"{_time(record)} {record.levelname:<7} {_one_line(clean(record.getMessage()))}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def set_up(level: str, style: str) -> None:
    """Log to stderr; libraries only from warning on, unless everything is to be seen."""
    # what no formatter here uses, and what logging would find out for each line (Python's HOWTO, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if level == "debug" else logging.WARNING, force=True)
    logging.getLogger("engine").setLevel(level.upper())
    # these write requests or headers at debug level, where a token may be
    for name in ("kubernetes", "aiohttp", "asyncio", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n") if "\n" in text else text
