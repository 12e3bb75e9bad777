"""What kustomize renders, and how it is sent to an API server."""

from __future__ import annotations

import subprocess
import urllib.error
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import yaml

from engine.model.objects import Kind, Object, kind_of, metadata
from engine.model.plurals import guessed_resource
from scripts.bundle import ROOT
from tests.controlplane.gobuild import Programs
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually


def render(tools: Programs, folder: Path, *options: str) -> list[Object]:
    """The objects of a kustomization."""
    done = subprocess.run([tools["kustomize"], "build", folder, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def overlay(tools: Programs, folder: Path, files: Mapping[str, str]) -> list[Object]:
    """The objects of a kustomization whose files, kustomization.yaml among them, lie beside `config`."""
    (folder / "config").symlink_to(ROOT / "config")
    for name, text in files.items():
        (folder / name).write_text(text)
    return render(tools, folder, "--load-restrictor=LoadRestrictionsNone")


def send(plane: ControlPlane, document: Object, *, dry_run: bool = False) -> None:
    """Create an object, or change one that is there, with strict checks of each field."""
    query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    collection = path(kind_of(document), str(metadata(document).get("namespace", "")))
    name = metadata(document)["name"]
    present = any(one["metadata"]["name"] == name for one in plane.request("GET", collection)["items"])
    plane.request(*(("PATCH", f"{collection}/{name}{query}") if present else ("POST", collection + query)), document)


@contextmanager
def applied(plane: ControlPlane, documents: Sequence[Object]) -> Iterator[Object]:
    """Objects as long as they are needed; gives the Deployment. Namespaces stay: nobody finishes their deletion here."""
    for document in documents:
        send(plane, document)
    yield next(document for document in documents if document["kind"] == "Deployment")
    for document in reversed(documents):
        if document["kind"] != "Namespace":
            meta = metadata(document)
            where = f"{path(kind_of(document), str(meta.get('namespace', '')))}/{meta['name']}"
            plane.request("DELETE", where)
            if document["kind"] == "CustomResourceDefinition":  # it goes only after its objects
                eventually(lambda where=where: not there(plane, where), f"end of {where}")  # type: ignore[misc]


def there(plane: ControlPlane, where: str) -> bool:
    """Whether there is an object at a path."""
    try:
        return bool(plane.request("GET", where))
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return False


def path(kind: Kind, namespace: str) -> str:
    """The path of a collection; '' is the namespace of what lies in none."""
    root = f"/{'apis' if kind.group else 'api'}/{kind.api_version}"
    return root + (f"/namespaces/{namespace}" if namespace else "") + f"/{guessed_resource(kind).plural}"
