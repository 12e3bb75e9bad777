"""Loggers of the pipeline: they say nothing while it is only asked what it would do, with the rights of whoever asks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SILENT = ContextVar("silent", default=False)


def logger(name: str) -> logging.Logger:
    """Return the logger of a module."""
    log = logging.getLogger(name)
    log.addFilter(lambda record: not _SILENT.get())
    return log


@contextmanager
def silent() -> Iterator[None]:
    """Have what is evaluated meanwhile, in this task and those that it starts, leave nothing in the log."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)
