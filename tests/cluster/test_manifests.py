"""Every manifest that this project shows is accepted by the API server and by the real schemas of the kinds it is of.

The schemas are those that KServe, Argo CD and OLM publish, at the versions of the Go modules in tests/controlplane, and for
NotebookValidationJob the one in examples/demo.
"""

from __future__ import annotations

import itertools
import re
import urllib.error
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.errors import Location
from engine.model.objects import Kind, Object, kind_of, metadata
from engine.packs.yamltext import read_yaml
from tests.controlplane import argocd, kserve, olm
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.world import DONE, JOB, RULES, job

ROOT = RULES.parent
#: Files of these groups are read by kustomize and by rulepack, never by an API server.
FILE_FORMATS = {"kustomize.config.k8s.io", "rules.mlops.dev"}
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
FENCE = re.compile(r"^```ya?ml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PLACEHOLDER = re.compile(r"\$\{namespaces\.(\w+)}")


def documents(file: Path) -> Iterator[Any]:
    """The YAML documents of a file, or of a page's code blocks."""
    text = PLACEHOLDER.sub(r"\1", file.read_text())
    for block in FENCE.findall(text) if file.suffix == ".md" else [text]:
        yield from (document.value for document in read_yaml(block, partial(Location, str(file))))


def manifests(*patterns: str) -> Iterator[Any]:
    """A parameter for each manifest: what names an apiVersion, a kind and itself, and is of the API."""
    for file in sorted(path for pattern in patterns for path in ROOT.glob(pattern)):
        for number, found in enumerate(documents(file), 1):
            if _is_manifest(found):
                yield pytest.param(found, id=f"{file.relative_to(ROOT)}-{number}-{found['kind']}")


def _is_manifest(found: Any) -> bool:
    complete = isinstance(found, dict) and {"apiVersion", "kind"} <= found.keys() and "name" in found.get("metadata", {})
    return complete and found["apiVersion"].partition("/")[0] not in FILE_FORMATS


def applied_jobs() -> Iterator[Any]:
    """A parameter for each job that a test of a shipped pack applies."""
    for file in sorted(ROOT.glob("rules/*/tests.yaml")):
        (suite,) = documents(file)
        steps = [*suite["spec"].get("setup", []), *(step for test in suite["spec"]["tests"] for step in test["steps"])]
        applied = (step["apply"] for step in steps if "apply" in step)
        objects = itertools.chain.from_iterable(one if isinstance(one, list) else [one] for one in applied)
        for number, obj in enumerate(objects, 1):
            if kind_of(obj) == JOB:
                yield pytest.param(obj, id=f"{file.parent.name}-{number}")


MANIFESTS = [
    *manifests("README.md", "docs/**/*.md", "*/**/README.md", "examples/**/*.yaml", "config/samples/*.yaml", "config/rbac/*.yaml")
]


class Strict:
    """An API server with all the kinds, asked as `kubectl apply --validate=strict` asks it."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._plural = cache(self._discovered)

    def create(self, obj: Object, *, dry_run: bool = True) -> Object:
        """Create an object in its namespace, made where it is missing. Raises AssertionError with the server's words.

        A definition that is there already is merged into, by a dry run only.
        """
        collection, options = self._collection(obj), "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        if kind_of(obj) == DEFINITION:
            return self._ask("PATCH", f"{collection}/{metadata(obj)['name']}{options}", obj)
        return self._ask("POST", collection + options, obj)

    def status(self, obj: Object) -> Object:
        """Create an object, put its status, and delete it again. Raises AssertionError with the server's words."""
        created = self.create(obj, dry_run=False)
        path = f"{self._collection(obj)}/{metadata(obj)['name']}"
        try:
            return self._ask("PUT", f"{path}/status?fieldValidation=Strict", {**created, "status": obj["status"]})
        finally:
            self._plane.request("DELETE", path)

    def _ask(self, method: str, path: str, body: Object) -> Object:
        try:
            return self._plane.request(method, path, body)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def _collection(self, obj: Object) -> str:
        version = str(obj["apiVersion"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural, namespaced = self._plural(root, str(obj["kind"]))
        if not namespaced:
            return f"{root}/{plural}"
        namespace = str(metadata(obj).get("namespace", "default"))
        self._plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
        return f"{root}/namespaces/{namespace}/{plural}"

    def _discovered(self, root: str, kind: str) -> tuple[str, bool]:
        """The plural of a kind and whether it has namespaces; what is served is discovered a moment later."""

        def found() -> list[tuple[str, bool]]:
            try:
                resources = self._plane.request("GET", root)["resources"]
            except urllib.error.HTTPError:
                return []
            return [(one["name"], one["namespaced"]) for one in resources if one["kind"] == kind and "/" not in one["name"]]

        return eventually(found, f"kind {kind} of {root}", 30)[0]


@pytest.fixture(scope="module")
def strict(own_plane: ControlPlane) -> Strict:
    """An API server with the real definition of each kind that the manifests are of, or define."""
    given = [parameter.values[0] for parameter in MANIFESTS]
    kinds = {one["kind"] for one in given} | {one["spec"]["names"]["kind"] for one in given if kind_of(one) == DEFINITION}
    try:
        files = [*(argocd.source() / "manifests/crds").glob("*-crd.yaml"), *olm.definitions().glob("*.yaml")]
        published = [*kserve.definitions(), *(yaml.load(file.read_text(), yaml.CSafeLoader) for file in files)]
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)
    (jobs,) = (one for one in documents(ROOT / "examples/demo/crds.yaml") if one["spec"]["names"]["kind"] == JOB.kind)
    own_plane.define(jobs, *(one for one in published if one["spec"]["names"]["kind"] in kinds))
    return Strict(own_plane)


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_is_accepted(strict: Strict, manifest: Object) -> None:
    """It has no field that its kind does not have, lacks none that is required, and has no value that is refused."""
    assert metadata(strict.create(manifest))["name"] == metadata(manifest)["name"]


@pytest.mark.parametrize("applied", [*applied_jobs()])
def test_a_job_of_a_packs_tests_is_accepted_with_its_status(strict: Strict, applied: Object) -> None:
    """What the packs are tested with is what a job's operator could have written."""
    status = {key: value for key, value in applied.get("status", {}).items() if value is not None}

    assert strict.status({**applied, "status": status}).get("status", {}) == status


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"podConfig": {}}, "spec.podConfig.containerImage: Required value"),
        ({"podConfig": None}, "spec.podConfig: Required value"),
        ({"notebook": None}, "spec.notebook: Required value"),
        (
            {"notebook": {"git": {"url": "https://example.com/models"}, "path": "train.ipynb"}},
            "spec.notebook.git.ref: Required value",
        ),
        ({"notebook": {"git": {"url": "models", "ref": "main"}, "path": "train.ipynb"}}, "spec.notebook.git.url: Invalid value"),
        (
            {"notebook": {"git": {"url": "https://example.com/models", "ref": "main"}, "path": "train.py"}},
            "spec.notebook.path: Invalid",
        ),
        ({"modelValidation": {"platform": "mlflow"}}, "spec.modelValidation.platform: Unsupported value"),
        ({"timeout": "soon"}, "spec.timeout: Invalid value"),
        ({"schedule": "@daily"}, 'unknown field \\"spec.schedule\\"'),
    ],
)
def test_a_job_that_its_owner_refuses_is_refused(strict: Strict, spec: dict[str, Any], complaint: str) -> None:
    """The definition has the required fields, patterns and enums of its owner's."""
    valid = job(namespace="default")
    changed = {key: value for key, value in {**valid["spec"], **spec}.items() if value is not None}

    with pytest.raises(AssertionError, match=re.escape(complaint)):
        strict.create({**valid, "spec": changed})


@pytest.mark.parametrize(
    ("status", "complaint"),
    [
        ({"phase": "Done"}, "status.phase: Unsupported value"),
        ({"results": [{"cellIndex": 0, "status": "Error"}]}, "status.results[0].status: Unsupported value"),
        ({"results": [{"status": "Success"}]}, "status.results[0].cellIndex: Required value"),
        ({"buildStatus": {"phase": "Building"}}, "status.buildStatus.phase: Unsupported value"),
        ({"comparisonResult": {"result": "matched"}}, "status.comparisonResult.totalCells: Required value"),
        ({"completionTime": "yesterday"}, "status.completionTime"),
        ({"retryCount": "3"}, "status.retryCount"),
    ],
)
def test_a_status_that_its_owner_cannot_write_is_refused(strict: Strict, status: dict[str, Any], complaint: str) -> None:
    """So is a status."""
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        strict.status({**job("refused", namespace="default"), "status": status})


def test_a_jobs_unknown_fields_are_pruned(strict: Strict, own_plane: ControlPlane) -> None:
    """Without strict validation they are dropped, as its owner's definition drops them, and defaults are filled in."""
    collection = f"/apis/{JOB.api_version}/namespaces/default/notebookvalidationjobs"
    body = job("pruned", namespace="default")

    stored = own_plane.request("POST", f"{collection}?dryRun=All", {**body, "spec": {**body["spec"], "schedule": "@daily"}})

    assert "schedule" not in stored["spec"]
    assert (stored["spec"]["timeout"], stored["spec"]["podConfig"]["serviceAccountName"]) == ("30m", "default")


def test_a_jobs_status_is_a_subresource(strict: Strict, own_plane: ControlPlane) -> None:
    """A status that comes with a new job is dropped: only its operator, which writes the subresource, says how it is."""
    collection = f"/apis/{JOB.api_version}/namespaces/default/notebookvalidationjobs"

    stored = own_plane.request("POST", f"{collection}?dryRun=All", job("new", "Succeeded", completed=DONE, namespace="default"))

    assert "status" not in stored
