"""What MkDocs does beside building docs/: a hook, which mkdocs.yml names.

Pages link to files as they lie in the repository, so that GitHub shows them too. The site also has the READMEs of packs, examples
and manifests, at their own paths; a link to any other file leads to the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.project import ROOT, project

#: What the site has beside docs/.
ADDED = ("CONTRIBUTING.md", "engine/README.md", "rules/*/README.md", "config/*/README.md", "examples/**/README.md")
#: A link or picture of Markdown: what comes before its address, the address, and its anchor.
_LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(?=\))")
#: What holds no links: blocks of code, and code within a line.
_CODE = re.compile(r"^( *)(```|~~~).*?^\1\2|`[^`\n]+`", re.MULTILINE | re.DOTALL)

#: A block of code, or the indentation of less than four spaces with which a line goes on with an item of a list.
_INDENTED = re.compile(r"^```.*?^```|^( {1,3})(?:```.*?^\1```|(?=\S))", re.MULTILINE | re.DOTALL)


def added(root: Path = ROOT) -> list[str]:
    """The pages that do not lie in docs/, by their paths in the repository."""
    return sorted(path.relative_to(root).as_posix() for pattern in ADDED for path in root.glob(pattern))


def linked(text: str, source: str, pages: frozenset[str], repository: str) -> str:
    """The Markdown of a page, with addresses for the site.

    Args:
        text: The Markdown.
        source: The page's path in the repository.
        pages: The paths in the repository of all pages of the site.
        repository: The address of the source.

    Raises:
        PluginError: A link leads to a file that does not exist.
    """

    def address(match: re.Match[str]) -> str:
        before, link, anchor = match[1], match[2], match[3] or ""
        if "://" in link or link.startswith(("mailto:", "/")):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if not (ROOT / target).exists():
            raise PluginError(f"{source}: a link leads to {link}, but there is no {target}")
        if target in pages or target.startswith("docs/"):
            site = posixpath.relpath(_on_site(target), posixpath.dirname(_on_site(source)) or ".")
        else:
            site = f"{repository}/{'tree' if (ROOT / target).is_dir() else 'blob'}/main/{target}"
        return f"{before}{site}{anchor}"

    done, parts = 0, list[str]()
    for code in _CODE.finditer(text):
        parts += [_LINK.sub(address, text[done : code.start()]), code[0]]
        done = code.end()
    return "".join([*parts, _LINK.sub(address, text[done:])])


def indented(text: str) -> str:
    """The Markdown with four spaces where an item of a list goes on: Python-Markdown asks for them, GitHub for two or three."""

    def shifted(match: re.Match[str]) -> str:
        more = " " * (4 - len(match[1])) if match[1] else ""
        return "\n".join(more + line if line else line for line in match[0].split("\n"))

    return _INDENTED.sub(shifted, text)


def _on_site(path: str) -> str:
    """The path among MkDocs' sources of a path in the repository."""
    return path.removeprefix("docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    for path in added():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with addresses for the site."""
    others = frozenset(added())
    source = page.file.src_uri if page.file.src_uri in others else f"docs/{page.file.src_uri}"
    return linked(indented(markdown), source, others, project().repository)
