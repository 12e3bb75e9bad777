"""What the engine's own code must never do, and what it says of itself."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from scripts.sbom import bill

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "engine").rglob("*.py"))
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
MODULES = {"pickle", "marshal", "shelve", "dill", "subprocess", "multiprocessing", "pty", "code", "ctypes", "xmlrpc", "telnetlib"}
ATTRIBUTES = re.compile(
    r"os\.(system|popen|fork\w*|exec\w+|spawn\w+|posix_spawn\w*)|asyncio\.(create_subprocess|subprocess)\w*"
    r"|.*\.(subprocess_shell|subprocess_exec|run_in_executor)"
    r"|yaml\.(unsafe_load|full_load|UnsafeLoader|FullLoader|Loader)(_all)?"
)
SAFE_LOADERS = {"SafeLoader", "CSafeLoader", "_Loader", "_LOADER"}


def parsed() -> list[tuple[Path, ast.AST]]:
    """Every node of every module of the engine."""
    return [(path, node) for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))]


def test_no_text_is_ever_run() -> None:
    """There is no eval, no exec, no shell, no other process and no pickle anywhere in the engine.

    But for the credential plugin of a kubeconfig, which whoever starts the engine names, as for kubectl.
    """
    assert {line.partition(":")[0].rpartition("/")[2] for line in forbidden(parsed())} == {"plugin.py"}


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')", "compile(x, 'x', 'exec')", "import pickle", "from subprocess import run", "import multiprocessing.pool",
        "os.system('ls')", "os.execvp('ls', [])", "os.posix_spawn('ls', [], {})", "await asyncio.create_subprocess_shell('ls')",
        "yaml.load(x, Loader=yaml.UnsafeLoader)", "yaml.full_load(x)",
    ],
)  # fmt: skip
def test_the_search_finds_it(text: str) -> None:
    """Each way to run a text would be found."""
    tree = ast.parse(f"async def f():\n    {text}")
    assert len(forbidden([(Path("x.py"), node) for node in ast.walk(tree)])) == 1


def forbidden(nodes: Iterable[tuple[Path, ast.AST]]) -> list[str]:
    """Where something could run a text or another program, or make objects of one."""
    found = []
    for path, node in nodes:
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                found.append(f"{path}:{node.lineno}: {name}()")
            case ast.Attribute() if ATTRIBUTES.fullmatch(ast.unparse(node)):
                found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
            case ast.Import(names=names):
                found += [f"{path}:{node.lineno}: {each.name}" for each in names if each.name.partition(".")[0] in MODULES]
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
                found.append(f"{path}:{node.lineno}: {module}")
    return found


def test_yaml_is_only_read_by_safe_loaders() -> None:
    """Each yaml.load and yaml.parse names a loader that makes nothing but plain values."""
    used = [
        (
            path,
            node.lineno,
            ast.unparse(keyword.value) if (keyword := next((k for k in node.keywords if k.arg == "Loader"), None)) else "",
        )
        for path, node in parsed()
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("yaml.load", "yaml.load_all", "yaml.parse", "yaml.compose")
    ]
    assert used
    assert [where for where in used if where[2].rpartition(".")[2] not in SAFE_LOADERS] == []


def test_tls_is_switched_off_only_where_a_kubeconfig_says_so() -> None:
    """One line of the engine does without a check of certificates: for `insecure-skip-tls-verify` of a kubeconfig."""
    pattern = re.compile(r"verify_ssl\s*=\s*False|ssl\s*=\s*False|CERT_NONE|_create_unverified_context|insecure.skip")
    lines = [(path.name, line.strip()) for path in SOURCES for line in path.read_text().splitlines() if pattern.search(line)]
    assert lines == [
        ("kubeconfig.py", 'verify=not cluster.get("insecure-skip-tls-verify"),'),
        ("sessions.py", "if not access.verify:  # insecure-skip-tls-verify"),
        ("sessions.py", "context.check_hostname, context.verify_mode = False, ssl.CERT_NONE"),
    ]


def test_the_sbom_names_every_locked_package() -> None:
    """The CycloneDX bill of materials has a component, with version, purl and hashes, for each package that the image holds."""
    lock = (ROOT / "requirements.lock").read_text()
    document = json.loads(json.dumps(bill(lock, "1.2.3")))

    locked = re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", lock, re.MULTILINE)
    assert [(each["name"], each["version"]) for each in document["components"]] == locked
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["version"] == "1.2.3"
    for component in document["components"]:
        assert component["purl"] == f"pkg:pypi/{component['name'].lower().replace('_', '-')}@{component['version']}"
        assert component["hashes"]
        assert all(re.fullmatch("[0-9a-f]{64}", each["content"]) for each in component["hashes"])


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_is_held_by_hashes(lock: str) -> None:
    """pip refuses whatever is not exactly what was locked."""
    entries = re.split(r"^(?=[A-Za-z0-9_.-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
