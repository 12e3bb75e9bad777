"""What goes wrong with a request, as `ApiError`: refused by the server, answered by something else, or not answered."""

from __future__ import annotations

import errno

import aiohttp
import orjson

from engine.errors import ApiError


def refused(response: aiohttp.ClientResponse, text: bytes) -> ApiError:
    """Return the error of an answer that is none of success, with what the server says in its text."""
    try:
        status = orjson.loads(text)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict):
        status = {"message": text[:200].decode(errors="replace").strip()}
    phrase = response.reason or "an error"
    details = status.get("details") or {}
    wait = response.headers.get("Retry-After") or str(details.get("retryAfterSeconds") or "")
    return ApiError(
        response.status,
        status.get("reason") or phrase.replace(" ", ""),
        status.get("message") or f"{response.method} {response.url.path}: the server answered {response.status} {phrase}",
        float(wait) if wait.isdecimal() else None,  # the API server sends seconds, never a date
        details if isinstance(details, dict) else None,
    )


def invalid(host: str, what: str) -> ApiError:
    """Return the error of an answer that is not what an API server sends."""
    return ApiError(0, "InvalidAnswer", f"{host} answered with {what}; expected a Kubernetes API server there")


def unreachable(host: str, error: Exception) -> ApiError:
    """Return the error of a connection that could not be made or broke, with what to do."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        message = (f"the certificate of {host} is not trusted: {error.certificate_error}; "
                   "check certificate-authority in the kubeconfig")  # fmt: skip
    elif isinstance(error, TimeoutError):
        message = f"{host} did not answer in time; check that it runs and that no firewall or proxy drops connections"
    elif isinstance(error, OSError) and error.errno == errno.EMFILE:
        message = f"cannot connect to {host}: too many files are open; watch fewer namespaces, or raise `ulimit -Hn`"
    elif isinstance(error, aiohttp.ClientConnectorError):
        message = f"cannot connect to {host}: {error.os_error}; check its address in the kubeconfig and that it runs"
    else:
        message = f"the connection to {host} broke: {str(error) or type(error).__name__}; it may be restarting"
    return ApiError(0, "Unreachable", message)
