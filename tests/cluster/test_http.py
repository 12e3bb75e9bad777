"""The action `http` on a real kube-apiserver: rights on Secrets by name, restarts, a takeover, and no secret that is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.model.objects import Kind, Object
from engine.model.plurals import guessed_resource
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.packs.rbac import Account, pack_roles
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

SECRET = Kind("v1", "Secret")
TOKEN = "hunter2-hunter2"


class Receiver:
    """A server that keeps what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        self.status, self.requests = 200, list[tuple[str, str, str, Any]]()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key, token = self.headers["Idempotency-Key"], self.headers["Authorization"]
                receiver.requests.append((key, token, self.path, body))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(b'{"id": "T-7"}')

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, name: str) -> list[tuple[str, str, str, Any]]:
        """What it was sent about an object."""
        return [request for request in self.requests if request[3] == {"name": name}]


def text(port: int, secret: str) -> str:
    """The pack, which sends for each ConfigMap of its name."""
    return f"""\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: {secret}}}
spec:
  watch: {{apiVersion: v1, kind: ConfigMap, labelSelector: {{send: {secret}}}}}
  rules:
    - name: send
      when: 'true'
      oncePer: object.metadata.uid
      existing: CatchUp
      actions:
        - http:
            secrets: {{token: {{name: {secret}, key: token}}}}
            url: http://127.0.0.1:{port}/hook
            headers: {{Authorization: 'Bearer ${{secrets.token}}'}}
            json: {{name: '${{object.metadata.name}}'}}
          register: ticket
        - annotate: {{annotations: {{example.com/ticket: '${{results.ticket.json.id}}'}}}}
"""


def pack(port: int, secret: str) -> RulePack:
    (parsed,) = parse_pack(text(port, secret), "pack.yaml", backend())
    return parsed


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def engine(cluster: Cluster, receiver: Receiver) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "configmaps")
        for name in ("own", "foreign"):
            source = named(CONFIG_MAP, name, engine.own, data={"pack.yaml": text(receiver.port, name)})
            source["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
            cluster.create(source)
            data = {"token": base64.b64encode(TOKEN.encode()).decode()}
            cluster.create({**named(SECRET, name, engine.own), "data": data})
        start(engine, receiver)
        yield engine


def start(engine: Engine, receiver: Receiver) -> None:
    """Start the engine with the host and port that an administrator lists."""
    engine.start(None, f"--http-allow=http://127.0.0.1:{receiver.port}", "--log-level=debug")
    engine.ready()


def source(cluster: Cluster, name: str, pack: str = "own") -> None:
    """An object that a pack sends for."""
    obj: Object = named(CONFIG_MAP, name, cluster.namespace)
    cluster.create({**obj, "metadata": {**obj["metadata"], "labels": {"send": pack}}})


def may_read(engine: Engine, receiver: Receiver, name: str) -> None:
    """Grant what `rulepack rbac` writes of Secrets for a pack."""
    written = pack_roles([pack(receiver.port, name)], guessed_resource, Account(engine.own))
    (role,) = [each for each in yaml.safe_load_all(written) if each["kind"] == "Role"]
    assert role["metadata"]["namespace"] == engine.own
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}]
    engine.bind("Role", "hook", role["rules"])


def waits(engine: Engine, secret: str) -> bool:
    """Whether something waits for the right on a Secret, and says so."""
    return f'secrets "{secret}" is forbidden' in engine.log()


def test_a_request_goes_through_restarts_with_one_key(cluster: Cluster, engine: Engine, receiver: Receiver) -> None:
    """Rights by name are enough, and needed; what was sent is not sent again; an outage and a takeover lose nothing."""
    source(cluster, "first")
    eventually(lambda: waits(engine, "own"), "item that waits for the right", 60)
    assert receiver.requests == []
    may_read(engine, receiver, "own")
    eventually(lambda: ticket(cluster, "first") == "T-7", "answer in an annotation", 90)
    assert [(token, path) for _, token, path, _ in receiver.requests] == [(f"Bearer {TOKEN}", "/hook")]

    engine.kill()
    start(engine, receiver)
    receiver.status = 503
    source(cluster, "second")
    eventually(lambda: len(receiver.of("second")) >= 2, "repeats in an outage", 60)
    engine.kill()
    start(engine, receiver)
    receiver.status = 200
    eventually(lambda: ticket(cluster, "second") == "T-7", "answer after the takeover", 60)

    assert len(receiver.of("first")) == 1
    assert len({key for key, *_ in receiver.of("second")}) == 1
    assert receiver.of("first")[0][0] != receiver.of("second")[0][0]

    source(cluster, "third", "foreign")
    eventually(lambda: waits(engine, "foreign"), "item of a pack without a right on its Secret", 60)
    assert receiver.of("third") == []
    events = cluster.plane.request("GET", f"/api/v1/namespaces/{cluster.namespace}/events")["items"]
    everything = json.dumps(events) + engine.log() + json.dumps(engine.overview())
    everything += "".join(json.dumps(cluster.get(CONFIG_MAP, name)) for name in ("first", "second", "third"))
    assert TOKEN not in everything


def ticket(cluster: Cluster, name: str) -> str:
    """What the answer has put down on an object."""
    found: str = cluster.get(CONFIG_MAP, name)["metadata"].get("annotations", {}).get("example.com/ticket", "")
    return found


def test_a_request_waits_until_its_host_is_listed(cluster: Cluster, engine: Engine, receiver: Receiver) -> None:
    """While http is off an Event says so; the operator that is started with the host sends it."""
    may_read(engine, receiver, "own")
    engine.kill()
    engine.start(None, "--log-level=debug")
    engine.ready()
    source(cluster, "early")

    def messages() -> list[str]:
        events = cluster.plane.request("GET", f"/api/v1/namespaces/{cluster.namespace}/events")["items"]
        return [event["message"] for event in events if event["reason"] == "RuleWaiting"]

    eventually(lambda: any("http is off: no administrator lists a host" in message for message in messages()), "Event", 60)
    assert receiver.requests == []
    engine.kill()
    start(engine, receiver)
    eventually(lambda: ticket(cluster, "early") == "T-7", "answer in an annotation", 60)
    assert len(receiver.of("early")) == 1
