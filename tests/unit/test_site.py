"""The site: every page is in it, every link leads somewhere, and nothing is loaded from another server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from mkdocs.exceptions import PluginError

from scripts import site
from scripts.project import ROOT, project

CONFIG = (ROOT / "mkdocs.yml").read_text()
DOCS = frozenset(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
#: What loads something when a page is shown.
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
REPOSITORY = "https://example.com/source"


def names(nav: object) -> list[str]:
    """The pages of a part of the nav."""
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ()
    return [name for child in children for name in names(child)]


def settings() -> dict[str, object]:
    """mkdocs.yml, without its tag for Python."""
    found = yaml.safe_load(re.sub(r"!!python/\S+", "", CONFIG))
    assert isinstance(found, dict)
    return found


def test_every_page_is_in_the_nav() -> None:
    """A page that is added is put into one of the four parts, or its folder is reached from a table."""
    found = settings()
    elsewhere = str(found["not_in_nav"]).split()
    pages = [*DOCS, *site.added()]
    missing = [page for page in pages if not any(fnmatchcase(f"/{page}", pattern) for pattern in elsewhere)]
    missing = sorted(set(missing) - set(names(found["nav"])))
    assert missing == [], f"not in the nav of mkdocs.yml: {missing}; put each under Tutorials, How-to, Reference or Explanation"


def test_the_nav_has_four_parts() -> None:
    """Beside the entry page."""
    nav = settings()["nav"]
    assert isinstance(nav, list)
    assert [next(iter(part)) for part in nav] == ["Rulepack", "Tutorials", "How-to", "Reference", "Explanation"]


@pytest.mark.parametrize(
    ("source", "link", "leads"),
    [
        ("docs/install.md", "scaling.md#x", "scaling.md#x"),
        ("docs/install.md", "../config/argocd/README.md", "config/argocd/README.md"),
        ("docs/reference/rights.md", "../install.md", "../install.md"),
        ("rules/sync-waves/README.md", "../../docs/sync-waves.md#a", "../../sync-waves.md#a"),
        ("rules/sync-waves/README.md", "../rollouts/README.md", "../rollouts/README.md"),
        ("docs/install.md", "../CHANGELOG.md", f"{REPOSITORY}/blob/main/CHANGELOG.md"),
        ("docs/install.md", "../rules", f"{REPOSITORY}/tree/main/rules"),
        ("docs/install.md", "https://example.com/a", "https://example.com/a"),
    ],
)
def test_a_link_leads_to_the_page_or_else_to_the_repository(source: str, link: str, leads: str) -> None:
    """Links stand in the files as GitHub follows them."""
    assert site.linked(f"[a]({link})", source, frozenset(site.added()), REPOSITORY) == f"[a]({leads})"


def test_a_link_to_a_file_that_does_not_exist_is_refused() -> None:
    """The message names the page and the link."""
    with pytest.raises(PluginError, match=r"docs/install.md: a link leads to ../none.yaml, but there is no none.yaml"):
        site.linked("[a](../none.yaml)", "docs/install.md", frozenset(), REPOSITORY)


def test_code_is_left_alone() -> None:
    """What looks like a link in code is none."""
    text = "`[a](b)`\n\n```yaml\n[a](b)\n```\n"
    assert site.linked(text, "docs/install.md", frozenset(), REPOSITORY) == text


def test_a_block_of_code_belongs_to_its_item() -> None:
    """Two or three spaces are enough, as on GitHub; a block of its own stays as it is."""
    text = "1. a\n   b\n\n   ```sh\n   c\n     d\n\n   ```\n\n2. e\n\n```yaml\nf:\n  g: h\n```\n"
    assert site.indented(text) == ("1. a\n    b\n\n    ```sh\n    c\n      d\n\n    ```\n\n2. e\n\n```yaml\nf:\n  g: h\n```\n")


class Loaded(HTMLParser):
    """The addresses from which a page loads something."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found = list[str]()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of whatever is loaded."""
        address = dict(attrs).get(LOADING.get(tag, ""))
        if address and not (tag == "link" and dict(attrs).get("rel") in ("canonical", "next", "prev")):
            self.found.append(address)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does it: links and anchors are checked by that."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stderr
    return folder


def build(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a site by the recipe of `make docs`."""
    recipe = re.findall(
        r"^docs: .*\n\tNO_MKDOCS_2_WARNING=1 \$\(BIN\)/mkdocs (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    command = [sys.executable, "-m", "mkdocs", *recipe[0].split(), "--config-file", str(config), "--site-dir", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("#none", "contains a link '#none', but there is no such anchor"),
        ("tutorial.md#none", "the doc 'tutorial.md' does not contain an anchor '#none'"),
        ("/other/", "contains an absolute link '/other/'"),
        ("none.md", "a link leads to none.md, but there is no docs/none.md"),
    ],
)
def test_a_broken_link_fails_the_build(link: str, complaint: str, tmp_path: Path) -> None:
    """What is wrong and on which page is said."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Entry\n\n[a]({link})\n")
    (tmp_path / "docs/tutorial.md").write_text("# Tutorial\n")
    small: dict[str, object] = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "docs_dir": "docs",
        "nav": ["index.md", "tutorial.md"],
        "hooks": [site.__file__],
        "theme": {"name": "mkdocs"},
        "validation": {"nav": {"omitted_files": "ignore"}},
    }
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(small))

    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")

    assert done.returncode != 0
    assert complaint in done.stderr


def test_every_page_is_built(built: Path) -> None:
    """Pages of docs/, and READMEs of packs, examples and manifests."""
    missing = [page for page in [*DOCS, *site.added()] if not (built / _html(page)).is_file()]
    assert missing == []


def test_nothing_is_loaded_from_another_server(built: Path) -> None:
    """No fonts, scripts, styles or pictures: a reader needs this server only, and no other one learns of them."""
    pages = list(built.rglob("*.html"))
    foreign = {address for page in pages for address in Loaded(page).found if re.match(r"(https?:)?//", address)}
    assert foreign == set()
    assert not [page for page in pages if 'class="mermaid"' in page.read_text()], "Mermaid is loaded from another server"


def test_the_repository_is_that_of_the_project(built: Path) -> None:
    """Its address stands in pyproject.toml only."""
    assert f'href="{project().repository}/blob/main/README.md"' in (built / "index.html").read_text()
    assert project().repository not in CONFIG


@pytest.mark.parametrize(
    "page", ["README.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "RELEASING.md", "CHANGELOG.md", "changes/*.md"]
)
def test_the_links_of_a_page_beside_the_site_lead_somewhere(page: str, built: Path) -> None:
    """Files exist, and so do anchors on pages of the site. A file in changes/ becomes a part of CHANGELOG.md."""
    inside, broken = {f"docs/{name}": name for name in DOCS} | {name: name for name in site.added()}, []
    for source in ROOT.glob(page):
        folder = ROOT if source.parent.name == "changes" and source.name != "README.md" else source.parent
        for link, anchor in re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#([^)\s]+))?\)", source.read_text()):
            target = (folder / link).resolve()
            html = inside.get(os.path.relpath(target, ROOT))
            if not target.exists() or (anchor and html and f'id="{anchor}"' not in (built / _html(html)).read_text()):
                broken.append(f"{source.relative_to(ROOT)}: {link}#{anchor}")
    assert broken == []


def _html(page: str) -> str:
    """Where MkDocs writes a page."""
    path = Path(page)
    if path.name in ("README.md", "index.md"):
        return (path.parent / "index.html").as_posix()
    return (path.with_suffix("") / "index.html").as_posix()
