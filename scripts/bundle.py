"""Write the OLM bundle of the engine's version from config/: `make bundle`.

A new version replaces the release that the bundle held before, or that this would have replaced: nobody is subscribed to what is
not released. `--check` only says what is not as config/ would make it, and `--into DIR` writes the bundle somewhere else, such as
that of another version for a test. `--image` names the image by its digest, as a release does: the bundle then works without a
connection to the registry that it names.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from engine.operator.in_force import NAME as STATE  # noqa: E402
from engine.operator.pack_sources import FLAGS, PARAMS  # noqa: E402
from engine.operator.settings import LEASE_NAME  # noqa: E402
from engine.operator.shards import layout_name  # noqa: E402
from scripts.project import DEVELOPMENT, project  # noqa: E402

CONFIG, BUNDLE = ROOT / "config", ROOT / "bundle"
PACKAGE, CHANNEL = "rulepack-operator", "stable"
CSV = f"manifests/{PACKAGE}.clusterserviceversion.yaml"
CRDS = ("rulepacks", "rulelibraries")
IMAGE = project().image
SEMVER = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")

# OLM's annotations of a bundle (operator-registry: docs/design/operator-bundle.md).
PREFIX = "operators.operatorframework.io."
ANNOTATIONS = {
    f"{PREFIX}bundle.mediatype.v1": "registry+v1",
    f"{PREFIX}bundle.manifests.v1": "manifests/",
    f"{PREFIX}bundle.metadata.v1": "metadata/",
    f"{PREFIX}bundle.package.v1": PACKAGE,
    f"{PREFIX}bundle.channels.v1": CHANNEL,
    f"{PREFIX}bundle.channel.default.v1": CHANNEL,
    f"{PREFIX}test.mediatype.v1": "scorecard+v1",
    f"{PREFIX}test.config.v1": "tests/scorecard/",
    "com.redhat.openshift.versions": "v4.15",  # and newer: the first on Kubernetes 1.28
}
#: What else of config/ OLM installs.
FURTHER = ("manager/service.yaml", "manager/pod_disruption_budget.yaml", "rbac/metrics_reader.yaml")

# Where all namespaces are watched OLM widens `permissions` to all of them, so what can be bound to a name is: to patch every
# ConfigMap would be to own the cluster. docs/install.md says how to grant it for all of the operator's namespace.
NAMES = {
    ("leases", "get"): [LEASE_NAME, layout_name(LEASE_NAME), STATE],
    ("leases", "update"): [LEASE_NAME, STATE],
    ("configmaps", "patch"): ["rulepack-packs", FLAGS, PARAMS],
}
# Of no namespace, or looked for in all of them (`discover`), so only `clusterPermissions` can grant it; all other rights are then
# those of an OperatorGroup's namespaces.
CLUSTER_SCOPED = {"appprojects", "namespaces", "subjectaccessreviews", "tokenreviews"}


def bundle(folder: str, version: str, image: str, replaces: str, created: str) -> dict[str, str]:
    """The files of the bundle in a folder, by path from there; its Dockerfile lies beside the folder."""
    annotations = yaml.safe_dump({"annotations": ANNOTATIONS}, sort_keys=False)
    labels = "".join(f"LABEL {key}={value}\n" for key, value in ANNOTATIONS.items())
    parts = {"manifests": "manifests", "metadata": "metadata", "tests/scorecard": "tests/scorecard"}
    copies = "".join(f"COPY {folder}/{source} /{target}/\n" for source, target in parts.items())
    return {
        CSV: _text(_csv(version, image, replaces, created)),
        **{f"manifests/{Path(name).name}": _text(_without_namespace(name)) for name in FURTHER},
        **{f"manifests/rules.mlops.dev_{name}.yaml": (CONFIG / f"crd/{name}.yaml").read_text() for name in CRDS},
        "metadata/annotations.yaml": annotations,
        "tests/scorecard/config.yaml": _text(yaml.safe_load((CONFIG / "scorecard/config.yaml").read_text())),
        "../bundle.Dockerfile": f"FROM scratch\n\n{labels}\n{copies}",
        "ci.yaml": yaml.safe_dump({"updateGraph": "replaces-mode", "reviewers": project().reviewers}, sort_keys=False),
    }


def _without_namespace(name: str) -> dict[str, Any]:
    """An object of config/, for the namespace that OLM installs into."""
    document: dict[str, Any] = yaml.safe_load((CONFIG / name).read_text())
    document["metadata"].pop("namespace", None)
    return document


def _csv(version: str, image: str, replaces: str, created: str) -> dict[str, Any]:
    csv: dict[str, Any] = yaml.safe_load((CONFIG / f"manifests/bases/{PACKAGE}.clusterserviceversion.yaml").read_text())
    deployment = yaml.safe_load((CONFIG / "manager/deployment.yaml").read_text())
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    csv["metadata"]["name"] = f"{PACKAGE}.v{version}"
    annotations = csv["metadata"]["annotations"]
    examples = json.dumps(annotations["alm-examples"], indent=2)
    annotations |= {"alm-examples": examples, "containerImage": image, "createdAt": created}
    if replaces:
        # Whoever has any version before gets this one in one step, also where those between are in no catalog any more.
        annotations["olm.skipRange"] = f"<{version}"
    spec = csv["spec"]
    icon = base64.b64encode((CONFIG / "manifests/icon.svg").read_bytes()).decode()
    spec["icon"] = [{"base64data": icon, "mediatype": "image/svg+xml"}]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = image
    targets = {"fieldPath": "metadata.annotations['olm.targetNamespaces']"}
    container["env"] = [
        {"name": "WATCH_NAMESPACE", "valueFrom": {"fieldRef": targets}} if entry["name"] == "WATCH_NAMESPACE" else entry
        for entry in container["env"]
    ]
    everywhere, bound = split_rights((CONFIG / "rbac/role.yaml").read_text())
    spec["install"] = {
        "strategy": "deployment",
        "spec": {
            "clusterPermissions": [{"serviceAccountName": account, "rules": everywhere}],
            "permissions": [{"serviceAccountName": account, "rules": bound}],
            "deployments": [
                {"name": "rulepack-operator", "label": deployment["metadata"]["labels"], "spec": deployment["spec"]},
            ],
        },
    }
    spec["version"] = version
    spec["maintainers"] = project().maintainers
    if replaces:
        spec["replaces"] = replaces
    if "@sha256:" in image:
        spec["relatedImages"] = [{"name": "rulepack", "image": image}]
        annotations["features.operators.openshift.io/disconnected"] = "true"
    return csv


def split_rights(roles: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rules of config/rbac/role.yaml as `clusterPermissions` and as `permissions`."""
    packs, reviews, own = (document["rules"] for document in yaml.safe_load_all(roles))
    bound = [rule for rule in packs if not CLUSTER_SCOPED & {*rule["resources"]}]
    everywhere = reviews + [rule for rule in packs if rule not in (*bound, *reviews)]
    bound += [part for rule in own for part in _bound(rule) if part not in bound]
    return everywhere, bound


def _bound(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A rule of the engine's own, with the verbs that are for objects of known names only bound to those."""
    (resource,) = rule["resources"]
    free = [verb for verb in rule["verbs"] if (resource, verb) not in NAMES]
    parts: list[dict[str, Any]] = [{**rule, "verbs": free}] if free else []
    for verb in rule["verbs"]:
        names = NAMES.get((resource, verb))
        if names and parts and parts[-1].get("resourceNames") == names:
            parts[-1]["verbs"].append(verb)
        elif names:
            parts.append({**rule, "resourceNames": names, "verbs": [verb]})
    return parts


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, and no aliases: OLM's own reader knows none."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _block)


def _text(document: Mapping[str, Any]) -> str:
    note = "# Written by `make bundle` from config/: change it there.\n"
    return note + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=1000)


def _present(folder: Path) -> dict[str, Any]:
    path = folder / CSV
    present: dict[str, Any] = yaml.safe_load(path.read_text()) if path.exists() else {}
    return present


def _history(present: Mapping[str, Any], version: str) -> tuple[str, str]:
    """The name of what a version replaces, and when its bundle was made, by the bundle that is there."""
    today = datetime.now(UTC).strftime("%Y-%m-%dT00:00:00Z")
    if not present:
        return "", today
    before, replaces = present["spec"]["version"], present["spec"].get("replaces", "")
    if version == before:
        return replaces, present["metadata"]["annotations"]["createdAt"]
    return replaces if before.endswith(DEVELOPMENT) else present["metadata"]["name"], today


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


def main() -> int:
    """Write or check it; 0 where all is well, 1 where the bundle is stale, 2 where a version is wrong."""
    parser = argparse.ArgumentParser(description="Write the OLM bundle from config/.")
    parser.add_argument("version", nargs="?", default="", help="with --into: such as 0.2.0; default: the engine's version")
    parser.add_argument("--check", action="store_true", help="only say whether the bundle is as config/ would make it")
    parser.add_argument("--into", type=Path, default=BUNDLE, help="default: bundle/")
    parser.add_argument("--replaces", default="", help="name of the version before; default: the one that is there")
    parser.add_argument("--image", default="", help=f"such as {IMAGE}@sha256:…; default: the tag of the version")
    parser.add_argument("--created", default="", help="the time for createdAt; default: today")
    arguments = parser.parse_args()
    own = project().version
    version = arguments.version or own
    if not SEMVER.fullmatch(version):
        print(f"version {version!r}: expected a semantic version, such as 0.2.0", file=sys.stderr)
        return 2
    if arguments.into == BUNDLE and version != own:
        wanted = f"run `make bundle` alone, or `make release VERSION={version}`"
        print(f"version {version!r}: bundle/ is of the version in engine/__init__.py, {own}: {wanted}", file=sys.stderr)
        return 2
    replaces, created = _history(_present(arguments.into), version)
    replaces, created = arguments.replaces or replaces, arguments.created or created
    files = bundle(arguments.into.name, version, arguments.image or f"{IMAGE}:v{version}", replaces, created)
    if arguments.check:
        found = {str(path.relative_to(arguments.into)) for path in arguments.into.rglob("*") if path.is_file()}
        stale = [path for path, text in files.items() if _differs(arguments.into / path, text)]
        stale += sorted(found - files.keys())
        for path in stale:
            print(f"bundle/{path}: not as config/ would make it; run: make bundle", file=sys.stderr)
        return 1 if stale else 0
    for path, text in files.items():
        (arguments.into / path).parent.mkdir(parents=True, exist_ok=True)
        (arguments.into / path).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
