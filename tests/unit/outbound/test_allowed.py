"""What an administrator lists."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from engine.errors import UsageError
from engine.outbound.allowed import Allowed, parse_allowed


@pytest.mark.parametrize(("text", "entry"), [
    ("hooks.slack.com:443", Allowed("https", "hooks.slack.com", 443)),
    ("https://Hooks.Slack.com:8443", Allowed("https", "hooks.slack.com", 8443)),
    ("http://am.monitoring.svc:9093=10.96.0.0/12,fd00::/8",
     Allowed("http", "am.monitoring.svc", 9093, (ip_network("10.96.0.0/12"), ip_network("fd00::/8")))),
    ("10.0.0.7:443", Allowed("https", "10.0.0.7", 443, (ip_network("10.0.0.7/32"),))),
    ("http://[fd00::7]:80", Allowed("http", "fd00::7", 80, (ip_network("fd00::7/128"),))),
])  # fmt: skip
def test_an_entry_is_a_host_and_a_port(text: str, entry: Allowed) -> None:
    """HTTPS unless it says otherwise, and public addresses unless it names networks."""
    assert parse_allowed(text) == entry


@pytest.mark.parametrize("text", [
    "", "hooks.slack.com", "*.slack.com:443", "hooks.slack.com:443/path", "hooks.slack.com:443?a", "a@b.com:443", ":443",
    "hooks.slack.com:0", "hooks.slack.com:70000", "ftp://hooks.slack.com:21", "2130706433:443", "0x7f.1:443", "127.1:443",
    "hooks.slack.com:443=10.0.0.1/8", "hooks.slack.com:443=private", "hooks .slack.com:443", "hooks.slack.com.:443",
])  # fmt: skip
def test_what_is_no_entry_is_refused_at_start(text: str) -> None:
    """With the form that was expected."""
    with pytest.raises(UsageError, match=r"--http-allow .* expected HOST:PORT, such as hooks\.slack\.com:443"):
        parse_allowed(text)
