"""Installed, upgraded and uninstalled by the real OLM, and run with the rights that OLM grants and no others."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from engine.model.objects import Kind, Object, annotations_of, dig
from tests.bundle import catalog, released
from tests.bundle.catalog import FIRST, NEW, OLD, SKIPPED
from tests.bundle.rights import Right, rights, used
from tests.controlplane import olm
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually, now
from tests.e2e.document import Shell, commands
from tests.e2e.installation import RBAC, Installation
from tests.e2e.kinds import install_kinds
from tests.e2e.olm import Olm
from tests.e2e.pod import Pod
from tests.e2e.rulepacks import DEFINITION, LIBRARIES, MARK, SHIPPED, RulePackUser, files, live
from tests.e2e.transcript import play
from tests.e2e.walkthrough import AT, Walkthrough, status, workload
from tests.world import DEPLOYMENT, JOB, RULES, job, named, trigger, triggers

HOME = "rulepack-system"
OPERATING = RULES.parent / "docs/operating.md"
CONFIG = RULES.parent / "config"
SAMPLES = ("feature_flags.yaml", "params.yaml", "pack.yaml")
OURS = ("rulepack-feature-flags", "rulepack-params", "team-packs")
UPGRADED = "upgraded"
FLAGS = {"on-success-triggers": "Enforce", "failure-notifications": "Audit"}
#: Of every pack that is in force after the upgrade: what a flag says, else what the pack does.
MODES = {
    "job-labels": "Enforce", "on-success-triggers": "Enforce", "failure-notifications": "Audit", "sync-waves": "Enforce",
    "application-status": "Enforce", "rollouts": "Enforce", "validation-metrics": "Enforce",
    "argocd-health": "Disabled", "model-freshness": "Disabled", "model-training": "Disabled",
}  # fmt: skip
UNWRITTEN = re.compile("/team-packs: .*status cannot be written.*cannot patch resource")
COMMANDS = re.findall(
    r"^kubectl create role.* rulepack-pack-status .*$", (RULES.parent / "docs/install.md").read_text(), re.MULTILINE
)
CHANGING = ("create", "update", "patch", "delete")
WAVE = "mlops.dev/wave-complete"
FORBIDDEN = re.compile(r"HTTP 403|[Ff]orbidden")


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane) -> ControlPlane:
    """A control plane that serves the kinds of the shipped packs."""
    install_kinds(own_plane)
    return own_plane


@pytest.fixture(scope="module")
def running(plane: ControlPlane) -> Iterator[Olm]:
    """OLM with a catalog of the first release and three more versions, of which the last may come after any before it."""
    try:
        with Olm(plane, {**olm.tools(), **olm.operators()}, olm.definitions()) as running:
            running.start(FIRST, OLD, SKIPPED, NEW)
            yield running
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


def test_the_first_release_is_upgraded_in_one_step(plane: ControlPlane, running: Olm, kubectl: Path, tmp_path: Path) -> None:
    """From 0.1.0, at work by its own bundle and code, to RulePacks: what was there is kept, and what was done is not done again.

    The kind comes with the upgrade, lives as docs/rulepacks.md says, and stays when the operator goes.
    """
    operator = Installation(plane, running, UPGRADED)
    operator.subscribe(FIRST)
    operator.install(FIRST)
    jobs = work_of_the_first_release(plane, operator, tmp_path)
    settings, effects = read(operator.home, CONFIG_MAP, *OURS), [*read(jobs, DEPLOYMENT, "web"), *read(jobs, JOB, "train")]
    assert not served(plane)

    operator.install(NEW)
    assert operator.planned() == {catalog.name(FIRST), catalog.name(NEW)}
    assert not {catalog.name(OLD), catalog.name(SKIPPED)} & operator.versions().keys()
    assert served(plane)
    assert read(operator.home, CONFIG_MAP, *OURS) == settings
    user = live_after_the_upgrade(operator, kubectl, tmp_path, jobs, settings)
    assert [*read(jobs, DEPLOYMENT, "web"), *read(jobs, JOB, "train")] == effects

    operator.uninstall(NEW)
    assert {"mark", "team"} <= user.listed().keys()
    for definition in (DEFINITION, LIBRARIES):
        plane.request("DELETE", definition)
    for one in jobs.all(JOB):
        jobs.delete(JOB, one["metadata"]["name"])


def live_after_the_upgrade(
    operator: Installation, kubectl: Path, folder: Path, jobs: Cluster, settings: Sequence[Object]
) -> RulePackUser:
    """Run the new version, and see what is listed, what each command of docs/rulepacks.md prints, and RulePacks live."""
    home = Kubectl(kubectl, operator.plane, UPGRADED, folder)
    user = RulePackUser(home, jobs)
    (folder / "standby").mkdir()
    with (
        Pod(operator.plane, operator.deployment, folder) as pod,
        Pod(operator.plane, operator.deployment, folder / "standby") as standby,
    ):
        pod.start()
        eventually(lambda: done(pod), "new version that has evaluated all objects")
        for name in (*SHIPPED, "job-labels"):
            user.waits_for("jsonpath={.status.observedGeneration}=1", name)
        assert {name: columns[0] for name, columns in user.listed().items()} == MODES
        assert [one["data"] for one in read(operator.home, CONFIG_MAP, *OURS)] == [one["data"] for one in settings]

        assert play(home, folder, user.before) >= 11
        for file in files():
            assert user.faults_of(file) == []
        live(user, pod, standby)
    home("delete", "clusterrole,clusterrolebinding", "rulepack:team")  # what an administrator has granted is not OLM's to remove
    return user


def work_of_the_first_release(plane: ControlPlane, operator: Installation, folder: Path) -> Cluster:
    """Have 0.1.0 restart a Deployment, report a wave and do what a user's pack says; gives the namespace of all that."""
    release = released.unpack(folder)
    operator.home.create(*(yaml.safe_load((release / "config/samples" / file).read_text()) for file in SAMPLES))
    operator.home.patch(CONFIG_MAP, "rulepack-feature-flags", {"data": FLAGS})
    plane.ensure("/api/v1/namespaces", {"metadata": {"name": "before"}})
    jobs = Cluster(plane, "before")
    jobs.create(workload(DEPLOYMENT, "web", namespace="before"))
    with released.pod(plane, operator.deployment, folder, release) as pod:
        pod.start()
        asks = {"argocd.argoproj.io/sync-wave": "3", **triggers(trigger(DEPLOYMENT, "web", "restart"))}
        time.sleep(1.1)  # times are in whole seconds
        jobs.create(job("train", "Succeeded", asks, "before", now()))

        def effects() -> bool:
            found = jobs.get(JOB, "train")["metadata"]
            marked = WAVE in found["annotations"] and found.get("labels", {}).get("example.com/phase") == "Succeeded"
            return marked and dig(jobs.get(DEPLOYMENT, "web"), AT, None) is not None

        eventually(effects, "restart, wave and label by 0.1.0")
        assert pod.stop() == 0
    return jobs


def test_a_life_with_olm(plane: ControlPlane, running: Olm, kubectl: Path, tmp_path: Path) -> None:
    """Subscribed, installed, at work with OLM's own token and environment, upgraded without a repeat, and gone without a trace.

    The walkthrough takes every path that needs a right, and no right that OLM was asked for is left over: without any one of them
    something in it would fail.
    """
    operator = Installation(plane, running, HOME)
    operator.subscribe(OLD)
    operator.install(OLD)
    assert operator.deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":v{OLD}")
    home = operator.home
    for file in SAMPLES:
        home.create(yaml.safe_load((CONFIG / "samples" / file).read_text()))
    home.patch(CONFIG_MAP, "rulepack-feature-flags", {"data": {"on-success-triggers": "Enforce"}})

    grant_status(plane, kubectl, HOME, tmp_path)
    with Pod(plane, operator.deployment, tmp_path) as pod:
        assert {"POD_NAMESPACE": HOME, "WATCH_NAMESPACE": ""}.items() <= pod.environment.items()
        pod.start()
        eventually(lambda: status(home, "team-packs") == "ok", "status of the user's pack")
        walkthrough = Walkthrough(plane, home, pod.log)
        user = RulePackUser(Kubectl(kubectl, plane, HOME, tmp_path), walkthrough.here)
        user.applies(MARK)
        user.makes_job("marked")
        user.finds_marked("marked", "first")
        walkthrough.play()
        assert walkthrough.here.get(JOB, "synced")["metadata"]["labels"]["example.com/phase"] == "Succeeded"
        assert "rulepack_leader 1.0" in pod.ask("/metrics")
        assert pod.stop() == 0
        assert not FORBIDDEN.search(pod.log()), pod.log()
        assert used(pod.requested()) == granted(operator, OLD)

    before = [home.get(CONFIG_MAP, one) for one in OURS]
    operator.install(NEW)
    assert [home.get(CONFIG_MAP, one) for one in OURS] == before
    with Pod(plane, operator.deployment, tmp_path) as pod:
        pod.start()
        eventually(lambda: done(pod), "new version that has evaluated all objects")
        user.waits_for("condition=Ready")
        assert (user.status("mark")["fired"], user.status("mark")["generationInForce"]) == (1, 1)
        assert pod.stop() == 0
        changed = {one.resource for one in pod.requested() if one.verb in CHANGING}
        # Statuses of packs, who reads metrics, counts on the Application, and Events about restarts that still go on.
        about = {"rulepacks/status", "tokenreviews", "subjectaccessreviews", "applications", "events"}
        assert changed <= {"leases", *about}, "nothing that the old version has done is done again"

    operator.uninstall(NEW)
    for one in walkthrough.here.all(JOB):
        walkthrough.here.delete(JOB, one["metadata"]["name"])
    assert walkthrough.here.all(JOB) == []


def test_an_operator_group_for_some_namespaces(plane: ControlPlane, running: Olm, kubectl: Path, tmp_path: Path) -> None:
    """It watches these namespaces only, and has rights there only, but for asking what others may do and where Argo CD is."""
    for name in ("team-a", "team-b", "team-c"):
        plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    operator = Installation(plane, running, "team-rulepack", "team-a", "team-b")
    operator.subscribe(OLD)
    operator.install(OLD)
    team = Cluster(plane, "team-a")
    with Pod(plane, operator.deployment, tmp_path) as pod:
        assert pod.environment["WATCH_NAMESPACE"] == "team-a,team-b"
        pod.start()
        for name in ("team-a", "team-b", "team-c"):
            team.create(job(phase="Succeeded", annotations={"argocd.argoproj.io/sync-wave": "3"}, namespace=name))
        for name in ("team-a", "team-b"):
            eventually(lambda name=name: WAVE in annotations_of(team.get(JOB, "train", name)), f"wave of {name}")  # type: ignore[misc]
        team_packs = yaml.safe_load((CONFIG / "samples/pack.yaml").read_text())
        operator.home.create(team_packs)
        eventually(lambda: UNWRITTEN.search(pod.log()), "word of the right that is missing")
        grant_status(plane, kubectl, "team-rulepack", tmp_path)
        eventually(lambda: status(operator.home, "team-packs") == "ok", "status of the user's pack")
        assert pod.stop() == 0
        assert WAVE not in annotations_of(team.get(JOB, "train", "team-c"))
        assert pod.watched("notebookvalidationjobs") == {"team-a", "team-b"}
    everywhere = [rule for role in operator.cluster_roles() for rule in role["rules"]]
    assert rights(everywhere) == {
        ("create", "authentication.k8s.io", "tokenreviews"), ("create", "authorization.k8s.io", "subjectaccessreviews"),
        *((verb, *resource) for verb in ("list", "watch") for resource in (("", "namespaces"), ("argoproj.io", "appprojects"))),
    }  # fmt: skip
    operator.uninstall(OLD)


def served(plane: ControlPlane) -> bool:
    """Whether the API server has the kinds RulePack and RuleLibrary."""
    definitions = plane.request("GET", DEFINITION.rpartition("/")[0])["items"]
    return {each.rpartition("/")[2] for each in (DEFINITION, LIBRARIES)} <= {one["metadata"]["name"] for one in definitions}


def read(cluster: Cluster, kind: Kind, *names: str) -> list[Object]:
    """Objects as they are."""
    return [cluster.get(kind, name) for name in names]


def done(pod: Pod) -> bool:
    """Whether the pod leads, has evaluated objects, and has none left to evaluate."""
    metrics = pod.ask("/metrics")
    return all(text in metrics for text in ("rulepack_leader 1.0", "rulepack_workqueue_depth 0.0", "rulepack_evaluations_total{"))


def grant_status(plane: ControlPlane, kubectl: Path, namespace: str, home: Path) -> None:
    """Let the operator write the status of all ConfigMaps with packs, as docs/install.md says."""
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        words = command.replace(HOME, namespace).split()
        subprocess.run([kubectl, *words[1:]], env={"KUBECONFIG": str(plane.kubeconfig), "HOME": str(home)}, check=True)


def granted(operator: Installation, version: str) -> set[Right]:
    """The rights that the bundle asks for, and the one for ConfigMaps of any name."""
    install = operator.version(version)["spec"]["install"]["spec"]
    rules = [rule for part in ("clusterPermissions", "permissions") for entry in install[part] for rule in entry["rules"]]
    role = operator.plane.request("GET", f"{RBAC}/namespaces/{operator.namespace}/roles/rulepack-pack-status")
    return rights([*rules, *role["rules"]])


@pytest.mark.nightly
def test_the_documented_rollback(plane: ControlPlane, running: Olm, kubectl: Path, tmp_path: Path) -> None:
    """docs/operating.md goes from the newest version back to an older one, which stays until somebody approves another.

    Nightly, for the half minute that it waits, and the last test here: one that fails may leave an operator that owns the kinds.
    """
    space = "rolled-back"
    operator = Installation(plane, running, space)
    operator.subscribe(NEW)
    operator.install(NEW)
    flags = named(CONFIG_MAP, "rulepack-feature-flags", space, data=FLAGS)
    operator.home.create(flags)
    shell = Shell(tmp_path, kubectl, plane.kubeconfig)
    wait, approve = (text.replace(HOME, space) for text in commands("Approve upgrades of OLM", OPERATING))
    (rollback,) = (text.replace(HOME, space) for text in commands("Roll back by OLM", OPERATING))

    shell.run(wait)
    shell.run(rollback.replace(catalog.name(FIRST), catalog.name(OLD)), 400)
    shell.run(approve)
    operator.install(OLD)

    assert operator.versions() == {catalog.name(OLD): "Succeeded"}
    assert operator.home.get(CONFIG_MAP, "rulepack-feature-flags")["data"] == FLAGS
    operator.uninstall(OLD)
