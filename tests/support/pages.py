"""What the pages of the documentation show: commands, links and tables of fields."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_SHELLS = {"sh", "bash", "console"}
_FIELD = re.compile(r"`([^`]+)`")
_MARKDOWN = MarkdownIt().enable("table")


def pages() -> list[Path]:
    """All pages for readers, those outside of ``docs/`` included."""
    outside = (
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "examples/openCARP.md",
    )
    return [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in outside)]


def tokens(page: Path) -> list[Token]:
    """A page's parts, those within lines included."""
    found = []
    for token in _MARKDOWN.parse(page.read_text("utf-8")):
        found += [token, *(token.children or ())]
    return found


def shown_lines(page: Path) -> Iterator[tuple[str, bool]]:
    """Yield what a page shows to be typed, and whether it is whole.

    Lines of shell blocks are; code within a line may leave out what does not matter there.
    """
    for token in tokens(page):
        if token.type == "code_inline":
            yield token.content, False
        elif token.type == "code_block" or (
            token.type == "fence" and token.info.partition(" ")[0] in _SHELLS
        ):
            is_console = token.info == "console"
            for line in re.sub(r"\\\n\s*", "", token.content).splitlines():
                if not is_console or line.startswith("$ "):
                    yield line.removeprefix("$ ").strip(), True


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found: dict[str, int] = {}
    anchors = set()
    parts = _MARKDOWN.parse(page.read_text("utf-8"))
    for opening, inline in pairwise(parts):
        if opening.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or ())
        slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        anchors.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return anchors


def documented_fields(heading: str, page: str = "formats.md") -> set[str]:
    """The names in the first column of the table below a heading."""
    text = (DOCS / page).read_text("utf-8")
    _, _, below = text.partition(f"# {heading}\n")
    assert below, f"{page} has no heading {heading}"
    below = re.split(r"^#+ ", below, maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.split("|")[1] for line in below.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in _FIELD.findall(row)}
