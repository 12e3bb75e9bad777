"""Where rule packs come from: files, folders and ConfigMaps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.packs.sources import Text, load_folder, packs_of_configmap


def write(path: Path, content: str | bytes = "kind: RulePack\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("kind", ["rp", "rulepack"])
def test_who_names_a_pack_of_the_cluster_hears_how_to_write_it_to_a_file(kind: str) -> None:
    with pytest.raises(UsageError, match=r"folder of rule packs, such as what `kubectl get rp team -o yaml` writes$"):
        load_folder([Path(f"{kind}/team")])


def reported(text: Text) -> str:
    return "".join(f"{fault}" for fault in text.faults)


def test_a_folder_gives_its_yaml_files_in_order(tmp_path: Path) -> None:
    """Files *.yaml and *.yml at any depth are read, in the order of their names; other and hidden ones are not."""
    for name in ("b/pack.yaml", "b/tests.yml", "a/pack.yaml", "a/README.md", ".git/x.yaml", "a/.x.yaml"):
        write(tmp_path / name, name)

    texts = load_folder([tmp_path])

    assert [text.file.removeprefix(f"{tmp_path}/") for text in texts] == ["a/pack.yaml", "b/pack.yaml", "b/tests.yml"]
    assert [text.text for text in texts] == ["a/pack.yaml", "b/pack.yaml", "b/tests.yml"]


def test_a_file_that_is_named_is_read_whatever_its_name(tmp_path: Path) -> None:
    """A path to a file is that file; the same file named twice is read once."""
    path = write(tmp_path / "rules.txt")

    assert load_folder([path, path]) == [Text(str(path), "kind: RulePack\n", str(path))]


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    """A ConfigMap volume keeps its files in hidden folders and links to them: each key is one text."""
    write(tmp_path / "..2026_01_24" / "pack.yaml")
    (tmp_path / "..data").symlink_to("..2026_01_24")
    (tmp_path / "pack.yaml").symlink_to("..data/pack.yaml")

    assert [text.file for text in load_folder([tmp_path])] == [str(tmp_path / "pack.yaml")]


def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    """A missing path ends with a text that names it."""
    with pytest.raises(UsageError, match=r"nowhere: there is no such file or folder; expected a rule pack"):
        load_folder([tmp_path / "nowhere"])


def test_a_folder_without_packs_is_a_usage_error(tmp_path: Path) -> None:
    """A folder that holds no YAML ends with a text that names it."""
    write(tmp_path / "README.md")

    with pytest.raises(UsageError, match=rf"no rule pack in {tmp_path}; expected files"):
        load_folder([tmp_path])


def test_what_cannot_be_read_is_a_fault_of_that_file(tmp_path: Path) -> None:
    """Not UTF-8, a link to itself, and what is no file: each is one Text with a fault, the others are read."""
    write(tmp_path / "a.yaml")
    write(tmp_path / "b.yaml", b"a: \xc3\xa9\nb: \xff\n")
    (tmp_path / "c.yaml").symlink_to("c.yaml")
    os.mkfifo(tmp_path / "d.yaml")
    (tmp_path / "e.yaml").symlink_to("missing")

    good, *bad = load_folder([tmp_path])

    assert good.faults == ()
    assert [reported(text).removeprefix(f"{tmp_path}/") for text in bad] == [
        "b.yaml:2:4: the byte 0xff is not UTF-8; expected text in UTF-8",
        "c.yaml:1:1: cannot be read: Too many levels of symbolic links; expected a readable file",
        "d.yaml:1:1: is not a file; expected a file of YAML",
        "e.yaml:1:1: cannot be read: No such file or directory; expected a readable file",
    ]


def test_links_between_folders_end(tmp_path: Path) -> None:
    """A folder that links to its own parent is read once."""
    write(tmp_path / "a" / "pack.yaml")
    (tmp_path / "a" / "again").symlink_to(tmp_path)

    assert len(load_folder([tmp_path])) == 1


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    """Of a file of more than 1 MiB no more than that is read; what is wrong with it is its size."""
    (long, cut) = load_folder([write(tmp_path / "a.yaml", "x" * 3_000_000), write(tmp_path / "b.yaml", "é" * 3_000_000)])

    assert len(long.text) == 1024 * 1024 + 1
    assert reported(cut).endswith("the text has more than 1048576 bytes; expected at most 1048576")


def test_each_yaml_key_of_a_config_map_is_a_text() -> None:
    """The keys that end in .yaml or .yml are texts of one source."""
    config_map = {"metadata": {"namespace": "ops", "name": "mine"}, "data": {"b.yaml": "b", "a.yml": "a", "notes": "x"}}

    assert packs_of_configmap(config_map) == [
        Text("configmap/ops/mine/a.yml", "a", "configmap/ops/mine"),
        Text("configmap/ops/mine/b.yaml", "b", "configmap/ops/mine"),
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [(None, ""), ({}, ""), ({"pack": "x", "p.txt": "x"}, ": none of its keys ends in .yaml or .yml ('p.txt', 'pack')")],
    ids=["no data", "empty", "other keys"],
)
def test_a_config_map_without_packs_is_a_fault(data: dict[str, str] | None, why: str) -> None:
    """A labelled ConfigMap that holds no pack says so, and which of its keys are not read."""
    (text,) = packs_of_configmap({"metadata": {"namespace": "ops", "name": "mine"}, "data": data})

    expected = f"there is no rule pack in its data{why}; expected a key such as pack.yaml"
    assert reported(text) == f"configmap/ops/mine:1:1: {expected}"
