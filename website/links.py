"""Links between the site's pages and files of the repository that lie outside of ``docs/``.

A page of ``docs/`` links to such a file by its relative path, which works in the repository. On
the site, each of these files has a page of its own in ``repository/``.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

DOCS = "docs"
MIRROR = "repository"

_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_FENCE = re.compile(r"^ *(```|~~~)")
_ELSEWHERE = re.compile(r"[a-z]+:|#|/")

_LANGUAGES = {".py": "python", ".sh": "bash", ".bash": "bash", ".yaml": "yaml", ".yml": "yaml"}


def page_path(path: str) -> str:
    """The path, on the site, of what shows a file or folder of the repository."""
    inside, _, rest = path.partition("/")
    if inside == DOCS:
        return rest
    path = path.replace("README", "overview")  # a README would become its folder's first page
    return f"{MIRROR}/{path}" if path.endswith(".md") else f"{MIRROR}/{path}.md"


def with_links(markdown: str, change: Callable[[str], str]) -> str:
    """The text with the target of every relative link changed; code stays as it is."""
    lines, is_code = [], False
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            is_code = not is_code
        lines.append(
            line
            if is_code
            else _LINK.sub(
                lambda m: m[0] if _ELSEWHERE.match(m[2]) else f"{m[1]}{change(m[2])}{m[3]}", line
            )
        )
    return "\n".join(lines)


def target(link: str, source: str) -> tuple[str, str]:
    """The path in the repository that a link of a file leads to, and its anchor with ``#``."""
    path, mark, anchor = link.partition("#")
    folder = PurePosixPath(source).parent
    return os.path.normpath(folder / path) if path else source, mark + anchor


def for_site(markdown: str, source: str) -> str:
    """The text of a file of the repository, with links that work on the site."""
    here = PurePosixPath(page_path(source)).parent

    def changed(link: str) -> str:
        path, anchor = target(link, source)
        return os.path.relpath(page_path(path) if _is_page(path) else path[5:], here) + anchor

    return with_links(markdown, changed)


def _is_page(path: str) -> bool:
    return path.endswith(".md") or not path.startswith(f"{DOCS}/")


def linked_outside(root: Path, beginning: tuple[str, ...]) -> Iterator[str]:
    """Yield the files and folders outside of ``docs/`` that docs link to, directly or not.

    Args:
        root: The repository.
        beginning: Files that are yielded in any case.
    """
    pages = [str(file.relative_to(root)) for file in sorted((root / DOCS).rglob("*.md"))]
    left, seen = [*pages, *beginning], set(pages)
    yield from beginning
    seen |= set(beginning)
    while left:
        source = left.pop(0)
        for link in relative_links((root / source).read_text("utf-8")):
            path, _ = target(link, source)
            if path in seen or path.startswith(f"{DOCS}/"):
                continue
            seen.add(path)
            yield path
            if path.endswith(".md"):
                left.append(path)


def relative_links(markdown: str) -> list[str]:
    """The targets of all relative links of a text."""
    found: list[str] = []

    def noted(link: str) -> str:
        found.append(link)
        return link

    with_links(markdown, noted)
    return found


def page_of(root: Path, path: str) -> str:
    """The page, in Markdown, that shows a file of the repository, or the files of a folder."""
    file = root / path
    if path.endswith(".md"):
        return for_site(file.read_text("utf-8"), path)
    parts = [f"# {path}", ""]
    if not file.is_dir():
        return "\n".join([*parts, _code(file)])
    for each in sorted(file.iterdir()):
        if each.is_file():
            parts += [f"## {each.name}", "", _code(each), ""]
    return "\n".join(parts)


def _code(file: Path) -> str:
    language = _LANGUAGES.get(file.suffix, "text")
    return f"````{language}\n{file.read_text('utf-8').rstrip()}\n````"
