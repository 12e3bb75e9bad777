"""What a process that serves wants of the system: streams that are open, and enough open files."""

from __future__ import annotations

import logging
import os
import resource

log = logging.getLogger(__name__)

ENOUGH_FILES = 1024
"""How many files are to be open at a time at least: 64 connections to the API server, 200 of two servers, one for each watch."""


def have_standard_streams() -> None:
    """Open the streams that whoever started this has closed: a socket that got their number would be written to as a log.

    libuv, and so uvloop, ends the process where it is to close one of the three.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


def raise_limit_of_files() -> None:
    """Raise the limit of open files as far as that is allowed, and warn where it is low all the same."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # macOS refuses more than a limit of the kernel
        log.debug("the limit of open files stays as it is: %s", error)
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < ENOUGH_FILES:
        log.warning(
            "only %d files may be open at a time, connections included; expected %d or more: raise the limit (ulimit -Hn)",
            allowed, ENOUGH_FILES,
        )  # fmt: skip
