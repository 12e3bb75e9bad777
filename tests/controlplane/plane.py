"""A real control plane for the tests: etcd and kube-apiserver on free ports of 127.0.0.1, without any container.

RBAC is on, so rights are really tested, and every request is in the audit log, so writes can be counted. No controller
manager runs: nothing deletes dependents, finishes the deletion of a namespace, or turns a Deployment into pods; where a test
needs that, `controllers` has it.

`python -m tests.controlplane.plane` gets the programs ready and says where they are.
"""

from __future__ import annotations

import atexit
import base64
import json
import secrets
import shutil
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import yaml

from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram, Programs
from tests.controlplane.processes import Processes, free_ports
from tests.controlplane.requested import Requested

#: Seconds that a start may take; it takes about two.
PATIENCE = 60.0
#: Verbs of the audit log that change something.
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
#: API groups whose objects are questions: a create there stores nothing.
QUESTIONS = frozenset({"authorization.k8s.io", "authentication.k8s.io"})
ADMIN_USER_AGENT = "controlplane-admin"
WITHOUT_CONTROLLERS = (
    "--service-cluster-ip-range=10.0.0.0/24",
    # It would refuse pods until a controller manager, which does not run here, has made their service account.
    "--disable-admission-plugins=ServiceAccount",
)


class ControlPlane:
    """etcd and one kube-apiserver; `kubeconfig` is the path of an administrator's kubeconfig, `admin_token` the token in it,
    `url` the server's address, `certificate` the path of the certificate that it shows and `private_key` that of its key.
    It listens on `address`, with `options` beside its usual ones.
    """

    def __init__(self, found: Programs, address: str = "127.0.0.1", options: Sequence[str] = WITHOUT_CONTROLLERS) -> None:
        self._programs, self._address, self._options = found, address, options
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-controlplane-"))
        self._processes = Processes(self._folder)
        self.admin_token = secrets.token_hex(16)
        self._etcd_port, self._peer_port, self._port = free_ports(3)
        self.audit_log = self._folder / "audit.log"
        self._certificates = self._folder / "certificates"
        self.certificate, self.private_key = self._certificates / "apiserver.crt", self._certificates / "apiserver.key"
        self.url = f"https://{f'[{address}]' if ':' in address else address}:{self._port}"
        self.kubeconfig = self._folder / "kubeconfig"

    def start(self) -> None:
        """Start both and return when the server is ready. Raises MissingProgram, with the log, where it never is."""
        atexit.register(self.stop)
        self._write_settings()
        etcd, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._run("etcd", [
            "--unsafe-no-fsync", f"--data-dir={self._folder / 'etcd-data'}", "--quota-backend-bytes=8000000000",
            f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
        ])  # fmt: skip
        self.start_apiserver()
        self.kubeconfig.write_text(self._kubeconfig_text(self.admin_token))

    def stop(self) -> None:
        """Kill both and remove all they wrote."""
        self._processes.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)
        atexit.unregister(self.stop)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_apiserver(self) -> None:
        """Start kube-apiserver on the port and with the certificate it had before, and wait until it is ready."""
        key = self._folder / "service-account.key"
        self._run("kube-apiserver", [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", f"--cert-dir={self._certificates}",
            f"--bind-address={self._address}", f"--secure-port={self._port}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            f"--token-auth-file={self._folder / 'tokens.csv'}", "--authorization-mode=RBAC",
            f"--audit-policy-file={self._folder / 'audit-policy.yaml'}", f"--audit-log-path={self.audit_log}", *self._options,
        ])  # fmt: skip
        self._wait_until_ready()

    def stop_apiserver(self) -> None:
        """Kill kube-apiserver: connections to it break as they do when its machine fails."""
        self._processes.kill("kube-apiserver")

    def restart_apiserver(self) -> None:
        """Kill kube-apiserver and start it anew; it then knows no event from before (older watches get 410)."""
        self.stop_apiserver()
        self.start_apiserver()

    def compact(self) -> None:
        """Make etcd forget every revision before the current one.

        kube-apiserver goes on serving what its watch cache holds, so a watch from an old resourceVersion gets 410 only
        after `restart_apiserver` too.
        """
        revision = self._etcd("maintenance/status", {})["header"]["revision"]
        self._etcd("kv/compaction", {"revision": revision, "physical": True})

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = "", content_type: str = ""
    ) -> dict[str, Any]:
        """One request, as administrator or with a token; the path starts with '/'. Raises urllib.error.HTTPError."""
        return self.request_with_warnings(method, path, body, token=token, content_type=content_type)[0]

    def request_with_warnings(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = "", content_type: str = ""
    ) -> tuple[dict[str, Any], list[str]]:
        """One request, as `request` makes it, and what the server warns of. Raises urllib.error.HTTPError."""
        content_type = content_type or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        headers = {
            "Authorization": f"Bearer {token or self.admin_token}", "Content-Type": content_type,
            "User-Agent": ADMIN_USER_AGENT,
        }  # fmt: skip
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        trusted = ssl.create_default_context(cafile=self.certificate)
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the server's own certificate lacks what Python 3.13 asks for
        with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
            text, warnings = answer.read(), answer.headers.get_all("Warning", [])
        return json.loads(text) if text.startswith(b"{") else {"text": text.decode()}, warnings

    def ensure(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object in the collection at a path, unless there is one of its name already."""
        try:
            self.request("POST", path, body)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.CONFLICT:
                raise

    def define(self, *definitions: Mapping[str, Any]) -> None:
        """Create CustomResourceDefinitions, those of whose name there is one already left out, and wait until all are served."""
        for definition in definitions:
            self.ensure("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        deadline = time.monotonic() + PATIENCE
        for spec in (definition["spec"] for definition in definitions):
            for version in (version["name"] for version in spec["versions"] if version["served"]):
                while not self._serves(f"/apis/{spec['group']}/{version}", spec["names"]["plural"]):
                    assert time.monotonic() < deadline, f"{spec['names']['plural']}.{spec['group']}/{version} is not served"
                    time.sleep(0.05)

    def token_for(self, namespace: str, service_account: str) -> str:
        """A token of a service account, which is made where it is missing, as is its namespace; it has no rights of its own."""
        self.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.ensure(accounts, {"metadata": {"name": service_account}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        return str(self.request("POST", f"{accounts}/{service_account}/token", asked)["status"]["token"])

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """The path of a kubeconfig that holds a token of a service account (see `token_for`)."""
        path = self._folder / f"kubeconfig-{namespace}-{service_account}"
        path.write_text(self._kubeconfig_text(self.token_for(namespace, service_account), namespace))
        return path

    def writes(self, *, user: str = "", user_agent: str = "") -> list[str]:
        """Every mutating request so far as 'verb uri', in order, those that were refused included, dry runs left out.

        `user` is a whole user name, such as system:serviceaccount:NAMESPACE:NAME; `user_agent` is a prefix. The server
        writes its audit line before it handles the request, so a request that was answered is always counted.
        """
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self._audited()
            if _changes_something(event)
            and user in ("", event["user"].get("username"))
            and event.get("userAgent", "").startswith(user_agent)
        ]

    def dry_runs(self) -> list[str]:
        """Every request so far for what the server would do, as 'verb uri', in order."""
        return [f"{event['verb']} {event['requestURI']}" for event in self._audited() if "dryRun=All" in event["requestURI"]]

    def requested(self, *, user: str) -> list[Requested]:
        """What a user has asked for so far, in order, refused requests and dry runs included: what rights are about."""
        events = (event for event in self._audited() if event["user"].get("username") == user and "objectRef" in event)
        return [Requested.of(event["verb"], event["objectRef"]) for event in events]

    def effects(self, *, user: str) -> list[str]:
        """Every mutating request of a user that has had its effect so far, as 'verb path', in order, dry runs left out.

        The server writes this line once it has answered, so the last ones may be missing for a moment.
        """
        return [
            f"{event['verb']} {event['requestURI'].partition('?')[0]}"
            for event in self._audited("ResponseComplete")
            if _changes_something(event) and event["user"].get("username") == user and event["responseStatus"]["code"] < 300
        ]

    def lists(self, *, user: str, of_one: bool = True) -> list[str]:
        """The paths of every list that a user has asked for so far, one for each page, in order.

        Without `of_one` those are left out that ask for one object by a field selector, as others ask by get.
        """
        return [
            event["requestURI"].partition("?")[0]
            for event in self._audited()
            if event["verb"] == "list" and event["user"].get("username") == user
            and (of_one or "metadata.name" not in event["requestURI"])
        ]  # fmt: skip

    def _audited(self, stage: str = "RequestReceived") -> Iterator[dict[str, Any]]:
        lines = self.audit_log.read_text().splitlines()
        return (event for event in map(json.loads, lines) if event["stage"] == stage)

    def _serves(self, version: str, plural: str) -> bool:
        """Whether a kind can be discovered, and its objects listed: the one comes some time after the other."""
        try:
            found = self.request("GET", version)["resources"]
            self.request("GET", f"{version}/{plural}?limit=1")
        except urllib.error.HTTPError as error:  # 429: "storage is (re)initializing"
            if error.code not in (HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS):
                raise
            return False
        return any(resource["name"] == plural for resource in found)

    def _write_settings(self) -> None:
        (self._folder / "tokens.csv").write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        (self._folder / "service-account.key").write_text(_signing_key())
        policy = {
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["ResponseStarted", "Panic"], "rules": [
                {"level": "Metadata", "verbs": ["get", "list", "watch"], "omitStages": ["ResponseComplete"]},
                {"level": "Metadata"},
            ],
        }  # fmt: skip
        (self._folder / "audit-policy.yaml").write_text(yaml.safe_dump(policy))

    def _kubeconfig_text(self, token: str, namespace: str = "default") -> str:
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        return yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority-data": authority}}],
            "users": [{"name": "test", "user": {"token": token}}],
        })  # fmt: skip

    def _etcd(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One call of etcd's JSON gateway (etcd: Documentation, dev-guide/api_grpc_gateway); int64 come as strings."""
        url = f"http://127.0.0.1:{self._etcd_port}/v3/{method}"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=30) as answer:
            result: dict[str, Any] = json.load(answer)
        return result

    def _run(self, name: str, arguments: list[str]) -> None:
        self._processes.start(name, [self._programs[name], *arguments])

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._ready():
            ended = self._processes.ended()
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else "kube-apiserver"
                what = "ended" if ended else f"was not ready after {PATIENCE:.0f} s"
                raise MissingProgram(f"{name} {what}; the end of its log:\n{self._processes.end_of_log(name)}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            return self.request("GET", "/readyz") == {"text": "ok"}
        except OSError:  # no certificate yet, nobody listening yet, or an HTTPError: not ready yet
            return False


def _changes_something(event: Mapping[str, Any]) -> bool:
    about = event.get("objectRef", {})
    asks = about.get("apiGroup") in QUESTIONS or about.get("subresource") == "token"
    return event["verb"] in MUTATING and not asks and "dryRun=All" not in event["requestURI"]


def _signing_key() -> str:
    """A new P-256 private key as PEM, the shortest form of RFC 5915 (the reader derives the public key).

    Written by hand because it is 32 random bytes in a fixed frame: no need of openssl or a library for that.
    """
    scalar = bytes([secrets.randbelow(127) + 1]) + secrets.token_bytes(31)  # surely below the order of the curve
    frame = bytes.fromhex("30310201010420") + scalar + bytes.fromhex("a00a06082a8648ce3d030107")
    return f"-----BEGIN EC PRIVATE KEY-----\n{base64.b64encode(frame).decode()}\n-----END EC PRIVATE KEY-----\n"


if __name__ == "__main__":
    try:
        for path in programs().values():
            print(path)
    except MissingProgram as missing:
        sys.exit(str(missing))
