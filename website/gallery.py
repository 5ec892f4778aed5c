"""The gallery: every picture of the docs, with its caption and the page that explains it."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+\.(?:png|jpg|svg|gif|webp))\)")


def pictures(docs: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield each picture once: its path, its description, its page and the title of that."""
    seen = set()
    for page in sorted(docs.rglob("*.md")):
        if page.stem.endswith("_template"):  # no page
            continue
        text = page.read_text("utf-8")
        name = page.relative_to(docs).as_posix()
        title = next(line[2:] for line in text.splitlines() if line.startswith("# "))
        for description, link in _PICTURE.findall(text):
            path = os.path.normpath(PurePosixPath(name).parent / link)
            if path not in seen and not link.startswith("http"):
                seen.add(path)
                yield path, description, name, title


def gallery(docs: Path) -> str:
    """The pictures, in Markdown."""
    lines: list[str] = []
    for path, description, page, title in pictures(docs):
        lines += [f"## {description}", "", f"![{description}]({path})", ""]
        lines += [f"From [{title}]({page}).", ""]
    return "\n".join(lines)
