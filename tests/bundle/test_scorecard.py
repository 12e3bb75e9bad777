"""operator-framework's own programs on the bundle: the tests of its scorecard, and operator-sdk."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.bundle import ROOT
from tests.bundle.catalog import NEW, write_bundle
from tests.controlplane import olm
from tests.controlplane.gobuild import Say

BUNDLE = ROOT / "bundle"
CONFIG = yaml.safe_load((BUNDLE / "tests/scorecard/config.yaml").read_text())
ENTRYPOINTS = [test["entrypoint"] for group in CONFIG["stages"] for test in group["tests"]]
#: What `operator-sdk bundle validate` checks beside what it always does, but for multiarch: tests/node/test_release.py.
OPTIONAL = ("suite=operatorframework", "name=community", "name=good-practices", "name=alpha-deprecated-apis")
#: Said of any rule about PodDisruptionBudgets, whose v1beta1 is gone: a rule names no version (operator-framework/api:
#: removed_apis.go).
UNFOUNDED = re.compile(r"warning: .* removed in v1\.25\. .*API\(s\) for poddisruptionbudgets: .*Permissions.*Rules.*")


def scorecard(bundle: Path, entrypoint: list[str], root: Path, say: Say) -> dict[str, Any]:
    """The one result of a scorecard test, run as in its pod: with the bundle in /bundle and nothing else."""
    shutil.copytree(bundle, root / "bundle")
    shutil.copy(olm.scorecard_test(say), root / "scorecard-test")
    command: list[str | Path] = ["unshare", "--user", "--map-root-user", "chroot", root, f"/{entrypoint[0]}", *entrypoint[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (result,) = json.loads(done.stdout)["results"]
    found: dict[str, Any] = result
    return found


def validate(say: Say, bundle: Path, *options: str, path: str = "") -> tuple[int, list[str]]:
    """The exit status of `operator-sdk bundle validate`, and what it finds, with programs of a folder before all others."""
    command: list[str | Path] = [olm.operator_sdk(say), "bundle", "validate", bundle, "--output=json-alpha1", *options]
    env = {**os.environ, "PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, [f"{one['type']}: {one['message']}" for one in json.loads(done.stdout)["outputs"] or []]


@pytest.mark.e2e
@pytest.mark.parametrize("entrypoint", ENTRYPOINTS, ids=lambda entrypoint: entrypoint[1])
def test_the_scorecard_passes(entrypoint: list[str], tmp_path: Path, say: Say) -> None:
    """Each test that the bundle's own configuration names, by the program of its image."""
    result = scorecard(BUNDLE, entrypoint, tmp_path, say)
    assert (result["state"], result.get("errors", [])) == ("pass", []), result


@pytest.mark.e2e
def test_the_scorecard_can_fail(tmp_path: Path, say: Say) -> None:
    """A bundle without the annotation of its package fails the test of bundles."""
    bundle = write_bundle(tmp_path, NEW)
    path = bundle / "metadata/annotations.yaml"
    path.write_text(path.read_text().replace("bundle.package.v1", "bundle.parcel.v1"))
    result = scorecard(bundle, ["scorecard-test", "olm-bundle-validation"], tmp_path / "root", say)
    assert result["state"] == "fail"


@pytest.mark.nightly
@pytest.mark.parametrize("selected", OPTIONAL)
def test_operator_sdk_finds_nothing(selected: str, say: Say) -> None:
    """No error and no warning of what is always checked, and of each further suite."""
    status, found = validate(say, BUNDLE, f"--select-optional={selected}")
    assert (status, [line for line in found if not UNFOUNDED.fullmatch(line)]) == (0, [])


@pytest.mark.nightly
def test_operator_sdk_finds_what_is_wrong(tmp_path: Path, say: Say) -> None:
    """A name that is none of a version is an error."""
    bundle = write_bundle(tmp_path, NEW)
    path = bundle / "manifests/rulepack-operator.clusterserviceversion.yaml"
    path.write_text(path.read_text().replace("minKubeVersion: 1.28.0", "minKubeVersion: '1.28'"))
    status, found = validate(say, bundle, "--select-optional=suite=operatorframework")
    assert status == 1
    assert [one for one in found if one.startswith("error")]
