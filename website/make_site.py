"""Build the documentation site into build/site/: python website/make_site.py (or: make docs).

``docs/`` is copied to ``build/docs/``, with the pages that are generated, and Zensical makes the
site of it. A warning, a dead link or anchor, or anything that a page would load from the network
fails the build.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import reference
from formulas import with_formulas
from gallery import gallery
from links import DOCS, for_site, linked_outside, page_of, page_path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build"

MARK = "<!-- generated -->"
GENERATED: dict[str, Callable[[], str]] = {
    "gallery.md": lambda: gallery(ROOT / DOCS),
    "reference/command-line.md": reference.command_line,
    "reference/python.md": lambda: reference.python_api(ROOT / "src" / "vecsetx"),
}
"""Page → what takes the place of its mark."""

ALWAYS = ("CHANGELOG.md", "README.md", "SECURITY.md")
"""Files outside of docs/ that have a page, whether one links to them or not."""

_TUTORIALS = "    # make_site.py lists them\n"
_WORKER = "https://unpkg.com/iframe-worker/shim"
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):\s*<code>(~?)([^<]*)</code>")
_LOADED = re.compile(
    r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//[^"]*"'
    r'|<link\b(?![^>]*rel="canonical")[^>]*\bhref="(?:https?:)?//[^"]*"'
    r"|@import\b[^;]*//[^;]*"
)


def is_page(file: Path) -> bool:
    """Whether a Markdown file is a page, and not what a program makes one of."""
    return not file.stem.endswith("_template")


def staged(path: str, text: str) -> str:
    """The text of a page of docs/, as the site generator gets it.

    Raises:
        ValueError: The page lacks the mark where something generated belongs.
    """
    if fill := GENERATED.get(path):
        before, mark, after = text.partition(MARK)
        if not mark:
            raise ValueError(f"docs/{path}: lacks {MARK}")
        text = f"{before}{fill()}{after}"
    return with_formulas(for_site(text, f"{DOCS}/{path}"))


def stage(out: Path) -> None:
    """Write all that the site generator reads."""
    shutil.rmtree(out / DOCS, ignore_errors=True)
    for file in sorted((ROOT / DOCS).rglob("*")):
        path = file.relative_to(ROOT / DOCS).as_posix()
        copy = out / DOCS / path
        if file.is_dir() or (file.suffix == ".md" and not is_page(file)):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            copy.write_text(staged(path, file.read_text("utf-8")), "utf-8")
        else:
            shutil.copy(file, copy)
    for path in linked_outside(ROOT, ALWAYS):
        copy = out / DOCS / page_path(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(page_of(ROOT, path), "utf-8")
    for name in ("site.css", "worker_from_disk.js"):
        shutil.copy(HERE / name, out / DOCS / name)
    (out / "zensical.toml").write_text(configuration(), "utf-8")


def configuration() -> str:
    """The generator's configuration, with the tutorials that there are."""
    docs = ROOT / DOCS
    first = sorted(docs.glob("tutorial.md"))
    tutorials = [*first, *sorted(filter(is_page, (docs / "tutorials").glob("*.md")))]
    listed = "".join(f'    "{file.relative_to(docs).as_posix()}",\n' for file in tutorials)
    text = (HERE / "zensical.toml").read_text("utf-8")
    assert _TUTORIALS in text
    return text.replace(_TUTORIALS, listed)


def finish(site: Path) -> None:
    """Make the search work from disk, and names in docstrings plain; see what pages would load.

    Raises:
        ValueError: A page would load something.
    """
    for file in sorted(site.rglob("*.html")):
        up = "../" * (len(file.relative_to(site).parts) - 1)
        text = file.read_text("utf-8").replace(_WORKER, f"{up}worker_from_disk.js")
        text = _ROLE.sub(
            lambda m: f"<code>{m[2].rpartition('.')[2] if m[1] else m[2]}</code>", text
        )
        if found := _LOADED.search(text):
            raise ValueError(f"{file.relative_to(site)}: loads from the network: {found[0]}")
        file.write_text(text, "utf-8")


def main() -> int:
    """Build the site; return the exit status."""
    BUILD.mkdir(exist_ok=True)
    stage(BUILD)
    shutil.rmtree(BUILD / "site", ignore_errors=True)
    words = ["zensical", "build", "--clean", "--strict"]
    done = subprocess.run([sys.executable, "-m", *words], cwd=BUILD, check=False)
    if done.returncode == 0:
        finish(BUILD / "site")
        print(f"open {BUILD / 'site' / 'index.html'}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
