"""What kustomize renders, and how it is sent to an API server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from engine.model.objects import Kind, Object, kind_of, metadata
from engine.model.plurals import guessed_resource
from scripts.bundle import ROOT
from tests.controlplane.gobuild import Programs
from tests.controlplane.plane import ControlPlane


def render(tools: Programs, folder: Path, *options: str) -> list[Object]:
    """The objects of a kustomization."""
    done = subprocess.run([tools["kustomize"], "build", folder, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def render_text(tools: Programs, kustomization: str, folder: Path) -> list[Object]:
    """The objects of a kustomization that lies beside `config`, as an overlay does."""
    (folder / "config").symlink_to(ROOT / "config")
    (folder / "kustomization.yaml").write_text(kustomization)
    return render(tools, folder, "--load-restrictor=LoadRestrictionsNone")


def send(plane: ControlPlane, document: Object, *, dry_run: bool = False) -> None:
    """Create an object, or change one that is there, with strict checks of each field."""
    query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    collection = path(kind_of(document), str(metadata(document).get("namespace", "")))
    name = metadata(document)["name"]
    there = any(one["metadata"]["name"] == name for one in plane.request("GET", collection)["items"])
    plane.request(*(("PATCH", f"{collection}/{name}{query}") if there else ("POST", collection + query)), document)


def path(kind: Kind, namespace: str) -> str:
    """The path of a collection; '' is the namespace of what lies in none."""
    root = f"/{'apis' if kind.group else 'api'}/{kind.api_version}"
    return root + (f"/namespaces/{namespace}" if namespace else "") + f"/{guessed_resource(kind).plural}"
