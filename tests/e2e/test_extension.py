"""The extension through the proxy of a real Argo CD's API server, with its own login and RBAC, to the real operator."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import yaml

from engine.model.objects import Kind, Object, dig
from tests.cluster.test_metrics_server import RBAC_API, grant
from tests.controlplane import argocd as build
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.plane import ControlPlane
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.served import Served
from tests.world import APPLICATION, JOB, RULES, job

ROOT = RULES.parent
EXTENSION = ROOT / "config/argocd/extension"
SECRET = Kind("v1", "Secret")
DEPLOYMENT = Kind("apps/v1", "Deployment")


class Answered(NamedTuple):
    """Status, text, and JSON data where it is some."""

    status: int
    text: str

    @property
    def data(self) -> Any:
        """What the text says."""
        return json.loads(self.text)


def get(url: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Answered:
    """What is answered, whoever signed the certificate."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, headers={"Content-Type": "application/json", **headers}, data=data)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return Answered(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answered(error.code, error.read().decode())


def documents(file: Path) -> dict[str, Object]:
    """The objects of a file by kind and name."""
    return {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(file.read_text())}


def patch(name: str) -> Object:
    """What is patched into an object of Argo CD."""
    body: Object = yaml.safe_load((EXTENSION / f"{name}.yaml").read_text())
    return body


def environment() -> dict[str, str]:
    """The variables that the shipped Deployment sets for the extension."""
    (deployment,) = yaml.safe_load_all((ROOT / "config/manager/deployment.yaml").read_text())
    entries = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {each["name"]: each["value"] for each in entries if each["name"].startswith("RULEPACK_RUN_EXTENSION_")}


def certificate(folder: Path) -> None:
    """Make a certificate with the command of the docs, for the address of the tests."""
    page = (ROOT / "docs/argocd-extension.md").read_text()
    (command,) = re.findall(r"^(openssl req (?:.*\\\n)*.*)$", page, re.MULTILINE)
    name = "DNS:rulepack-metrics.rulepack-system.svc"
    assert name in command
    arguments = shlex.split(command.replace("\\\n", " ").replace(name, "IP:127.0.0.1"))
    subprocess.run(arguments, cwd=folder, check=True, capture_output=True)


class Ui(NamedTuple):
    """Argo CD's API server, as its UI asks it, and the operator behind it."""

    argocd: str
    operator: str
    account: str
    """The token that Argo CD's configuration adds."""

    def log_in(self, name: str, password: str) -> str:
        """The token of a user."""
        answer = get(f"{self.argocd}/api/v1/session", {}, {"username": name, "password": password})
        assert answer.status == 200, answer.text
        return str(answer.data["token"])

    def ask(self, token: str, application: str, path: str, **query: str) -> Answered:
        """What the extension gets, with the headers that it sends."""
        headers = {
            "Cookie": f"argocd.token={token}", "Argocd-Application-Name": application, "Argocd-Project-Name": "default",
            "Authorization": "Bearer of-the-browser",
        }  # fmt: skip
        return get(f"{self.argocd}/extensions/rulepack/extension/{path}?{urlencode(query)}", headers)

    def forge(self, application: str, path: str, token: str, **query: str) -> Answered:
        """What a pod of the cluster gets from the operator itself."""
        headers = {"Argocd-Application-Name": application} | ({"Authorization": f"Bearer {token}"} if token else {})
        return get(f"{self.operator}/extension/{path}?{urlencode(query)}", headers)


@pytest.fixture
def ui(control_plane: ControlPlane, argocd: ArgoCD, cluster: Cluster, stopped_engine: Engine, tmp_path: Path) -> Iterator[Ui]:
    """The operator with a certificate, and Argo CD's API server, configured by config/argocd/extension but for the address."""
    engine, served = stopped_engine, Served.anywhere(control_plane.admin_token)
    certificate(tmp_path)
    grant(control_plane, "role.yaml", "rulepack-reviews", engine.own, "rulepack")
    command = [*engine.command(served), f"--tls-folder={tmp_path}"]
    engine.processes.start("rulepack", command, {**os.environ, "PYTHONPATH": str(ROOT), **environment()})
    eventually(lambda: served.ask("/readyz") == "ok\n", "engine that is ready", 60)

    account = documents(EXTENSION / "base/account.yaml")
    control_plane.kubeconfig_for(argocd.namespace, "rulepack-extension")  # with the service account
    token = control_plane.token_for(argocd.namespace, "rulepack-extension")
    secret = {**account["Secret/rulepack-extension"], "data": {"token": base64.b64encode(token.encode()).decode()}}
    control_plane.ensure(f"/api/v1/namespaces/{argocd.namespace}/secrets", secret)
    control_plane.ensure(f"{RBAC_API}/clusterroles", account["ClusterRole/rulepack-extension"])
    control_plane.ensure(f"{RBAC_API}/clusterrolebindings", account["ClusterRoleBinding/rulepack-extension"])

    config, policy = (dict(patch(name)["data"]) for name in ("argocd-cm", "argocd-rbac-cm"))
    address = "https://rulepack-metrics.rulepack-system.svc:8443"
    assert address in config["extension.config.rulepack"]
    operator = f"https://127.0.0.1:{served.metrics}"
    config["extension.config.rulepack"] = config["extension.config.rulepack"].replace(address, operator)
    argocd.cluster.patch(CONFIG_MAP, "argocd-cm", {"data": {**config, "accounts.somebody": "apiKey"}})
    argocd.cluster.patch(CONFIG_MAP, "argocd-rbac-cm", {"data": policy})
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    (authorities / "ca.crt").write_text((tmp_path / "tls.crt").read_text())
    with argocd.server(authorities) as url:
        yield Ui(url, operator, token)
    argocd.cluster.patch(CONFIG_MAP, "argocd-cm", {"data": dict.fromkeys([*config, "accounts.somebody"])})
    argocd.cluster.patch(CONFIG_MAP, "argocd-rbac-cm", {"data": dict.fromkeys([*policy, "policy.somebody.csv"])})


def admin(ui: Ui, argocd: ArgoCD) -> str:
    """The token of Argo CD's first user, whose password its API server has made."""
    initial = argocd.cluster.get(SECRET, "argocd-initial-admin-secret")
    return ui.log_in("admin", base64.b64decode(initial["data"]["password"]).decode())


def named(cluster: Cluster, name: str) -> dict[str, str]:
    """How the extension names a job."""
    return {"group": "mlops.mlops.dev", "kind": "NotebookValidationJob", "namespace": cluster.namespace, "name": name}


def test_a_user_of_argo_cd_sees_what_rules_do_for_their_application(argocd: ArgoCD, cluster: Cluster, ui: Ui) -> None:
    """And of nothing else: a job outside it, another Application, a user without the right, and forged headers are refused."""
    repository = argocd.repository(cluster.namespace)
    repository.commit({"jobs.yaml": [job(name, namespace=cluster.namespace) for name in ("train", "other")]})
    argocd.application(cluster.namespace, repository, cluster.namespace)
    argocd.sync(cluster.namespace)
    cluster.create(job("outside", namespace=cluster.namespace))
    for name in ("train", "outside"):
        cluster.status(JOB, name, {"phase": "Failed", "completionTime": now(), "message": "cell 3: no module named model"})
    token, application = admin(ui, argocd), f"{argocd.namespace}:{cluster.namespace}"

    def said() -> Any:
        answer = ui.ask(token, application, "object", **named(cluster, "train"))
        assert answer.status == 200, answer.text
        return answer.data if answer.data["firings"] else None

    data = eventually(said, "firing on the job of the Application")
    rules = {(pack["name"], rule["name"]): rule for pack in data["packs"] for rule in pack["rules"]}
    failure = rules["failure-notifications", "report-failure"]
    assert failure["skipped"].startswith("already fired")
    assert any(value == ["object.status.phase", '"Failed"'] for clause in failure["clauses"] for value in clause["values"])
    assert ("failure-notifications", "report-failure") in {(firing["pack"], firing["rule"]) for firing in data["firings"]}

    def counted() -> Any:
        answer = ui.ask(token, application, "summary")
        assert answer.status == 200, answer.text
        return [each["acted"] for each in answer.data["rules"] if each["rule"] == "report-failure"] == [1]

    assert eventually(counted, "count of the rule, for the one job that is of the Application")
    itself = {"group": APPLICATION.group, "kind": APPLICATION.kind, "namespace": argocd.namespace, "name": cluster.namespace}
    assert ui.ask(token, application, "object", **itself).data["object"] == f"Application {argocd.namespace}/{cluster.namespace}"

    outside = ui.ask(token, application, "object", **named(cluster, "outside"))
    assert (outside.status, set(outside.data)) == (403, {"error"})
    assert ui.ask(token, f"{argocd.namespace}:no-such", "summary").status == 401
    assert ui.ask("nonsense", application, "summary").status == 401

    pod = argocd.cluster.plane.token_for(cluster.namespace, "default")
    forged = [ui.forge(application, "object", each, **named(cluster, "train")) for each in ("", pod, "nonsense")]
    assert [answer.status for answer in forged] == [401, 403, 401]
    assert not [answer for answer in forged if "report-failure" in answer.text]
    assert ui.forge(application, "object", ui.account, **named(cluster, "train")).status == 200

    made = get(f"{ui.argocd}/api/v1/account/somebody/token", {"Authorization": f"Bearer {token}"}, {"name": "somebody"})
    somebody = str(made.data["token"])
    reads = "p, somebody, applications, get, */*, allow"
    argocd.cluster.patch(CONFIG_MAP, "argocd-rbac-cm", {"data": {"policy.somebody.csv": f"{reads}\n"}})
    applications = f"{ui.argocd}/api/v1/applications/{cluster.namespace}"
    eventually(lambda: get(applications, {"Authorization": f"Bearer {somebody}"}).status == 200, "right to read Applications")
    assert ui.ask(somebody, application, "summary").status == 401
    argocd.cluster.patch(CONFIG_MAP, "argocd-rbac-cm", {"data": {"policy.somebody.csv": "g, somebody, role:readonly\n"}})
    eventually(lambda: ui.ask(somebody, application, "summary").status == 200, "right of whoever reads Applications")


def test_a_list_alone_proves_nothing(argocd: ArgoCD, cluster: Cluster, ui: Ui) -> None:
    """Who writes an Application may write its status: the object is in its destination, which its project has to allow."""
    repository = argocd.repository(cluster.namespace)
    repository.commit({"jobs.yaml": [job(namespace=cluster.namespace)]})
    argocd.application(cluster.namespace, repository, cluster.namespace)
    argocd.sync(cluster.namespace)
    application = f"{argocd.namespace}:{cluster.namespace}"
    assert ui.forge(application, "object", ui.account, **named(cluster, "train")).status == 200
    for destination in ({"namespace": "elsewhere"}, {"namespace": cluster.namespace, "server": "https://elsewhere.example.com"}):
        argocd.cluster.patch(APPLICATION, cluster.namespace, {"spec": {"destination": destination}})
        assert ui.forge(application, "object", ui.account, **named(cluster, "train")).status == 403


def test_the_script_is_served_with_those_of_other_extensions(argocd: ArgoCD, tmp_path: Path) -> None:
    """From the folder that the manifests mount it in, which Argo CD alone decides."""
    folder = Path("/tmp/extensions") / f"rulepack-{os.getpid()}"
    before = folder.parent.exists()
    folder.mkdir(parents=True)
    script = EXTENSION / "base/extension-rulepack.js"
    try:
        (folder / script.name).write_text(script.read_text())
        with argocd.server(tmp_path) as url:
            served = get(f"{url}/extensions.js", {})
    finally:
        (folder / script.name).unlink()
        folder.rmdir()
        if not before:
            folder.parent.rmdir()
    assert script.read_text() in served.text
    (container,) = patch("argocd-server")["spec"]["template"]["spec"]["containers"]
    assert {"name": "rulepack-extension", "mountPath": f"{folder.parent}/rulepack", "readOnly": True} in container["volumeMounts"]


def test_the_command_of_the_docs_adds_it_to_argo_cds_own_objects(
    control_plane: ControlPlane, argocd: ArgoCD, namespace: str, kubectl: Path, tmp_path: Path
) -> None:
    """What stood there stays, and the same again changes nothing; a kustomization with the component comes to the same."""
    base, cluster = build.source() / "manifests/base", Cluster(control_plane, namespace)
    own = [base / f"config/{name}.yaml" for name in ("argocd-cm", "argocd-cmd-params-cm", "argocd-rbac-cm")]
    stock = [*own, base / "server/argocd-server-deployment.yaml"]
    run = Kubectl(kubectl, control_plane, namespace, tmp_path)
    for file in stock:
        run("apply", "-f", str(file))
    before = cluster.get(DEPLOYMENT, "argocd-server")["spec"]["template"]["spec"]
    (command,) = re.findall(r"^for object in.*?^done$", (ROOT / "docs/argocd-extension.md").read_text(), re.MULTILINE | re.DOTALL)
    for _ in range(2):
        command = command.replace("-n argocd", f"-n {namespace}")
        subprocess.run(["bash", "-ec", command], cwd=ROOT, env=run.environment, check=True, capture_output=True)

    after = cluster.get(DEPLOYMENT, "argocd-server")["spec"]["template"]["spec"]
    (container,), (stocked,) = after["containers"], before["containers"]
    assert {"name": "SSL_CERT_DIR", "value": "/etc/ssl/certs:/etc/rulepack-ca"} in container["env"]
    assert [each for each in container["env"] if each["name"] != "SSL_CERT_DIR"] == stocked["env"]
    added = {each["name"] for each in after["volumes"]} - {each["name"] for each in before["volumes"]}
    assert (added, len(after["volumes"])) == ({"rulepack-extension", "rulepack-ca"}, len(before["volumes"]) + 2)
    assert (container["image"], len(container["volumeMounts"])) == (stocked["image"], len(stocked["volumeMounts"]) + 2)
    (switch,) = (each for each in container["env"] if each["name"] == "ARGOCD_SERVER_ENABLE_PROXY_EXTENSION")
    key = dig(switch, ("valueFrom", "configMapKeyRef", "key"), "")
    assert cluster.get(CONFIG_MAP, "argocd-cmd-params-cm")["data"] == {key: "true"}
    assert "extension.config.rulepack" in cluster.get(CONFIG_MAP, "argocd-cm")["data"]

    kustomization = {
        "namespace": namespace, "resources": [os.path.relpath(each, tmp_path) for each in stock],
        "components": [os.path.relpath(EXTENSION, tmp_path)],
    }  # fmt: skip
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    built = subprocess.run(
        [kubectl, "kustomize", "--load-restrictor=LoadRestrictionsNone", tmp_path], check=True, capture_output=True, text=True
    )
    made = {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(built.stdout)}
    (patched,) = made["Deployment/argocd-server"]["spec"]["template"]["spec"]["containers"]
    names = [{each["name"] for each in found["env"]} for found in (patched, container)]
    assert names[0] == names[1]
    assert made["ConfigMap/rulepack-extension"]["data"] == {
        "extension-rulepack.js": (EXTENSION / "base/extension-rulepack.js").read_text()
    }
    (subject,) = made["ClusterRoleBinding/rulepack-extension"]["subjects"]
    assert subject["namespace"] == namespace
