"""Hooks of the site: pages made from the code and from files outside docs/, and notebooks as pages.

`configuration.md` and `commands.md` end with lists and help pages that generated.py makes. PROJECT are pages that lie
elsewhere in the repository. Links to other files of the repository lead to copies of them.
"""

import os
import posixpath
import re
import sys
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

import generated  # noqa: E402
import notebook_pages  # noqa: E402

PROJECT = {
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "benchmarks/NOTES.md": "project/benchmarks.md",
    "README.md": "project/readme.md",
}
"""Files of the repository that are pages of the site -> their places in it."""
_LINK = re.compile(r"(?<=\]\()([^)\s:#]+)(#[^)\s]*)?(?=\))")
_PLACES = {page: path for path, page in PROJECT.items()}


def on_files(files, config):
    """Add the pages that are not files of docs/."""
    for path, page in PROJECT.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text()))
    for notebook in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        for name, content in notebook_pages.page(notebook).items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    for path in _linked_files():
        files.append(File.generated(config, f"source/{path}", content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in what is generated, and lead links to where the site has their targets."""
    markdown = generated.fill(markdown)
    here = page.file.src_uri
    return _LINK.sub(lambda link: _on_site(link[1], here) + (link[2] or ""), markdown)


def _on_site(target, here):
    """A relative link of a page, as the site has it."""
    path = _in_repository(target, here)
    if path.endswith(".ipynb") and not here.startswith("notebooks/"):
        place = path.removeprefix("docs/").replace(".ipynb", ".md")
    elif path in PROJECT:
        place = PROJECT[path]
    elif path.startswith("docs/"):
        place = path.removeprefix("docs/")
    else:
        place = f"source/{path}"
    return os.path.relpath(place, posixpath.dirname(here) or ".")


def _in_repository(target, here):
    """The file of the repository that a link of a page of the site means."""
    source = _PLACES.get(here, f"docs/{here}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), target))


def _linked_files():
    """Files outside docs/ that pages link to and that are no pages, such as scripts."""
    found = set()
    pages = {path: page for path, page in PROJECT.items()}
    pages |= {f"docs/{page}": page for page in map(_docs_name, sorted((ROOT / "docs").rglob("*.md")))}
    for path, page in pages.items():
        targets = {_in_repository(link[1], page) for link in _LINK.finditer((ROOT / path).read_text())}
        found |= {target for target in targets if not target.startswith("docs/") and (ROOT / target).is_file()}
    return sorted(found - set(PROJECT))


def _docs_name(path):
    return path.relative_to(ROOT / "docs").as_posix()
