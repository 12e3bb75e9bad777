"""A real Argo CD without containers: redis, repo-server, application-controller and notifications controller as processes.

Its API server runs only for a test that asks for it, and its UI never: nothing here needs that.
"""

from __future__ import annotations

import base64
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import yaml

from engine.model.objects import Object, dig, kind_of, metadata
from tests.controlplane.gobuild import MissingProgram, Programs
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import CONFIG_MAP, PROJECT, Cluster, eventually, path
from tests.e2e.repository import Repository
from tests.e2e.settings import Setting, with_settings
from tests.world import APPLICATION

NAMESPACE = "argocd"
ROOT = Path(__file__).parent.parent.parent
#: What a user adds to a stock Argo CD.
COMPONENT = ROOT / "config/argocd"
#: Kinds of other projects that Argo CD does not bring.
OTHER_KINDS = ROOT / "examples/demo/crds.yaml"
#: Who follows a ConfigMap, and what it then prints.
NOTICED = {
    "argocd-cm": ("argocd-application-controller", "live state cache invalidated"),
    "argocd-notifications-cm": ("argocd-notifications", "with the name: argocd-notifications-cm"),
}
PATIENCE = 60.0
WITHOUT_REDIS = """\
`make e2e` runs a real Argo CD, which needs redis-server, and this machine has none on PATH.
Install it (Debian and Ubuntu: apt-get install redis-server); no service of it has to run."""

_numbers = itertools.count(1)


class ArgoCD:
    """Argo CD of one control plane, in one namespace, with the shipped configuration of config/argocd on top of its own."""

    def __init__(self, plane: ControlPlane, programs: Programs, source: Path, namespace: str = NAMESPACE) -> None:
        self._plane, self._programs, self._source, self.namespace = plane, programs, source, namespace
        self._folder = Path(tempfile.mkdtemp(prefix="rulepack-argocd-"))
        self._processes = Processes(self._folder)
        self.cluster = Cluster(plane, namespace)
        self._backends: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def repository(self, name: str) -> Repository:
        """A new git repository that this Argo CD can read."""
        return Repository(self._folder / "repositories" / name)

    def application(
        self, name: str, repository: Repository, namespace: str, *settings: Setting, folder: str = ".", **spec: Any
    ) -> Object:
        """Create an Application that deploys a folder of a repository into a namespace; `spec` adds to its spec."""
        body = {
            "apiVersion": APPLICATION.api_version,
            "kind": APPLICATION.kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "project": "default",
                "source": {"repoURL": repository.url, "path": folder, "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
                **spec,
            },
        }
        application = with_settings(body, settings)
        self.cluster.create(application)
        return application

    def get(self, name: str) -> Object:
        """An Application."""
        return self.cluster.get(APPLICATION, name)

    def start_sync(self, name: str) -> str:
        """Start a sync as a user does; the answer distinguishes this operation from others (see `operation`).

        The patch does what Argo CD's own SetAppOperation does (util/argo/argo.go), which also forgets the last operation; the
        options are those of the Application, as with Argo CD's API server (server/application/application.go, Sync).
        """
        options = dig(self.get(name), ("spec", "syncPolicy", "syncOptions"), [])
        mark = f"test-{next(_numbers)}"
        operation = {"initiatedBy": {"username": "test"}, "info": [{"name": "test", "value": mark}]}
        self.cluster.patch(
            APPLICATION, name, {"operation": {**operation, "sync": {"syncOptions": options}}, "status": {"operationState": None}}
        )
        return mark

    def operation(self, name: str, mark: str) -> Object:
        """The state of an operation, {} where another one has come or this has not begun."""
        state: Object = dig(self.get(name), ("status", "operationState"), {})
        marks = [entry["value"] for entry in dig(state, ("operation", "info"), [])]
        return state if mark in marks else {}

    def finished(self, name: str, mark: str, patience: float = PATIENCE) -> Object:
        """The state of an operation once it has ended."""

        def ended() -> Object:
            state = self.operation(name, mark)
            return state if state.get("phase") in ("Succeeded", "Failed", "Error") else {}

        return eventually(ended, f"end of the sync {mark} of Application {name}", patience)

    def sync(self, name: str) -> Object:
        """Sync an Application and wait for the end; returns the state of the operation."""
        return self.finished(name, self.start_sync(name))

    def refresh(self, name: str) -> None:
        """Have Argo CD compare an Application with its repository now."""
        self.cluster.patch(APPLICATION, name, {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})

    def settled(self, name: str, sync: str, health: str, patience: float = PATIENCE) -> Object:
        """An Application once Argo CD says this of it."""

        def so() -> Object:
            application = self.get(name)
            seen = dig(application, ("status", "sync", "status"), ""), dig(application, ("status", "health", "status"), "")
            return application if seen == (sync, health) else {}

        return eventually(so, f"Application {name} that is {sync} and {health}", patience)

    @contextmanager
    def changed(self, config_map: str, data: Mapping[str, str | None]) -> Iterator[None]:
        """Have other values (None: none) for keys of one of Argo CD's ConfigMaps meanwhile."""
        before = dig(self.cluster.get(CONFIG_MAP, config_map), ("data",), {})
        self._configure(config_map, data)
        try:
            yield
        finally:
            self._configure(config_map, {key: before.get(key) for key in data})

    @contextmanager
    def server(self, authorities: Path) -> Iterator[str]:
        """The URL, by plain HTTP, of its API server meanwhile; it has proxy extensions, and trusts authorities in a folder."""
        port, metrics = free_ports(2)
        options = [
            f"--namespace={self.namespace}", *self._backends, "--insecure", "--enable-proxy-extension", "--address=127.0.0.1",
            f"--port={port}", f"--metrics-port={metrics}",
        ]  # fmt: skip
        self._run("argocd-server", options, SSL_CERT_DIR=f"/etc/ssl/certs:{authorities}")
        try:
            self._wait_for(metrics)
            eventually(lambda: _listens(port), "API server of Argo CD", PATIENCE)
            yield f"http://127.0.0.1:{port}"
        finally:
            self._processes.kill("argocd-server")

    def argocd(self, *arguments: str | Path) -> str:
        """What the CLI prints on standard output; offline commands only."""
        command = [self._programs["argocd"], *arguments]
        done = subprocess.run(command, env=self._environment("argocd"), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def configuration(self) -> list[Object]:
        """Argo CD's own ConfigMaps and Secrets with config/argocd on top, as kustomize builds them."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        base = [self._source / "manifests/base/config"]
        notifications = self._source / "manifests/base/notification"
        base += [notifications / "argocd-notifications-cm.yaml", notifications / "argocd-notifications-secret.yaml"]
        kustomization = {
            "namespace": self.namespace,
            "resources": [os.path.relpath(part, folder) for part in base],
            "components": [os.path.relpath(COMPONENT, folder)],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        command: list[str | Path] = [self._programs["kubectl"], "kustomize", "--load-restrictor=LoadRestrictionsNone", folder]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, f"config/argocd does not build: {built.stderr}"
        return list(yaml.safe_load_all(built.stdout))

    def _configure(self, config_map: str, data: Mapping[str, str | None]) -> None:
        role, line = NOTICED[config_map]
        log = self._processes.log(role)
        before = log.read_text().count(line)
        self.cluster.patch(CONFIG_MAP, config_map, {"data": dict(data)})
        eventually(lambda: log.read_text().count(line) > before, f"{role} that has noticed the change of {config_map}")

    def logs(self) -> dict[str, str]:
        """The end of each process's log."""
        return {file.stem: self._processes.end_of_log(file.stem) for file in sorted(self._folder.glob("*.log"))}

    def _start(self) -> None:
        if not shutil.which("redis-server"):
            raise MissingProgram(WITHOUT_REDIS)
        self._install()
        redis, repository, repository_metrics, metrics, notification_metrics = free_ports(5)
        redis_server = ["redis-server", f"--port {redis}", "--bind 127.0.0.1", "--save ''", "--appendonly no"]
        self._processes.start("redis", ["/bin/sh", "-c", "exec " + " ".join(redis_server)])
        eventually(lambda: _listens(redis), "redis-server", PATIENCE)
        addresses = f"--redis=127.0.0.1:{redis}"
        self._backends = [addresses, f"--repo-server=127.0.0.1:{repository}"]
        self._run("argocd-repo-server", [
            "--address=127.0.0.1", f"--port={repository}", "--metrics-address=127.0.0.1", f"--metrics-port={repository_metrics}",
            addresses,
        ])  # fmt: skip
        self._run("argocd-application-controller", [
            f"--namespace={self.namespace}", *self._backends, f"--metrics-port={metrics}", "--app-resync=10",
        ])  # fmt: skip
        self._run("argocd-notifications", [
            f"--namespace={self.namespace}", f"--argocd-repo-server=127.0.0.1:{repository}",
            f"--metrics-port={notification_metrics}",
        ], ["controller"])  # fmt: skip
        self._wait_for(repository_metrics, metrics, notification_metrics)

    def _install(self) -> None:
        """Put its kinds, its configuration and a project that allows everything on the cluster."""
        self._plane.ensure("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        own = [self._source / f"manifests/crds/{name}-crd.yaml" for name in ("application", "appproject")]
        kinds = [crd for file in (*own, OTHER_KINDS) for crd in yaml.load_all(file.read_text(), yaml.CSafeLoader)]
        self._plane.define(*kinds)  # its own come first, and what a stand-in names again is left alone
        for obj in self.configuration():
            key = {"server.secretkey": base64.b64encode(secrets.token_bytes(32)).decode()}
            data = {"data": key} if metadata(obj)["name"] == "argocd-secret" else {}
            self._plane.ensure(path(kind_of(obj), self.namespace), {**obj, **data})
        anything = {"group": "*", "kind": "*"}
        project = {
            "sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "clusterResourceWhitelist": [anything],
        }  # fmt: skip
        body = {"apiVersion": PROJECT.api_version, "kind": PROJECT.kind, "metadata": {"name": "default"}, "spec": project}
        self._plane.ensure(path(PROJECT, self.namespace), body)

    def _run(self, role: str, options: list[str], command: list[str] | None = None, **settings: str) -> None:
        arguments = [*(command or []), *options, "--logformat=text"]
        self._processes.start(role, [self._programs["argocd"], *arguments], {**self._environment(role), **settings})

    def _environment(self, role: str) -> dict[str, str]:
        for name in ("tmp", "tls", "ssh", "gpg"):
            (self._folder / name).mkdir(exist_ok=True)
        return {
            "PATH": f"{self._own_programs()}:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder / "tmp"),
            "HOSTNAME": "controller-0",  # the controller takes its shard from the number
            "KUBECONFIG": str(self._plane.kubeconfig),
            "ARGOCD_BINARY_NAME": role,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_ASK_PASS_SOCK": str(self._folder / "ask-pass.sock"),
            "ARGOCD_TLS_DATA_PATH": str(self._folder / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(self._folder / "ssh"),
            "ARGOCD_GNUPGHOME": str(self._folder / "gpg"),
            "ARGOCD_GPG_ENABLED": "false",
        }

    def _own_programs(self) -> Path:
        """A folder with the script of Argo CD's image that the repo-server of 3.5 asks for each commit's signature."""
        folder, name = self._folder / "bin", "git-verify-wrapper.sh"
        if not folder.exists():
            folder.mkdir()
            shutil.copyfile(self._source / "hack" / name, folder / name)
            (folder / name).chmod(0o755)
        return folder

    def _wait_for(self, *ports: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while not all(_answers(port) for port in ports):
            ended = self._processes.ended()
            if ended or time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{text}" for name, text in self.logs().items())
                raise MissingProgram(f"Argo CD {'ended' if ended else 'was not ready'}: {', '.join(ended)}\n{logs}")
            time.sleep(0.1)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
