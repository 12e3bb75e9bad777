"""Where the requests of rules go, as far as that stands in the pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from yarl import URL

from engine.errors import Fault
from engine.model.urls import known_part, literal, read_url
from engine.packs.lint.base import Check, Severity, Subject, raw_rules


class OwnAddress(Check):
    """A request goes to `localhost`, or to an address that is another server on each machine.

    Requests are sent by the operator, so that `localhost`, `127.0.0.1` and `::1` are its own pod, `169.254.169.254` is the
    metadata service of its node, and `0.0.0.0` or a multicast address is no server. Name the server: of a Service that is
    `http://NAME.NAMESPACE.svc:PORT`. The administrator has to list it with its network:
    `--http-allow http://NAME.NAMESPACE.svc:PORT=10.96.0.0/12`.
    """

    name = "own-address"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such request."""
        for parsed in subject.sound():
            for index, raw in enumerate(raw_rules(parsed)):
                lists = (("actions", raw.get("actions", ())), ("rescue", raw.get("rescue", ())))
                for part, number, spec in [(part, *each) for part, entries in lists for each in _requests(entries)]:
                    url = read_url(known_part(spec["url"]))
                    if isinstance(url, URL) and _is_own(url.host or ""):
                        location = parsed.document.locate(("spec", "rules", index, part, number, "http", "url"))
                        message = f"the request goes to {url.host}, which is the operator's own machine or no server"
                        yield self.fault(location, message, "the server's name, such as http://NAME.NAMESPACE.svc:PORT")


def _requests(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the index and spec of each request among actions."""
    for number, entry in enumerate(entries):
        if "http" in entry:
            yield number, entry["http"]


def _is_own(host: str) -> bool:
    """Return whether a host is that of the machine that sends, or of none."""
    address = literal(host)
    if address is None:
        return host.rstrip(".").rpartition(".")[2] == "localhost"
    real = getattr(address, "ipv4_mapped", None) or address
    return bool(real.is_loopback or real.is_link_local or real.is_unspecified or real.is_multicast)
