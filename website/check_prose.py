"""Check the prose of pages and help texts: python website/check_prose.py (part of: make lint).

proselint reads what a reader reads: no code, no outputs of commands, no targets of links.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import reference
from links import DOCS
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]

_IGNORED = {
    "skunked_terms": False,  # knows one word of these pages, "decimate", a term for meshes
    "typography.symbols.curly_quotes": False,  # straight ones, as on the terminal
    "typography.diacritical_marks": False,  # asks for "résumé" where runs resume
}
"""Checks of proselint that say nothing of use here."""

_MARKDOWN = MarkdownIt().enable("table")
_CODE = "…"
"""Stands for code within a line."""


def pages() -> list[Path]:
    """The pages that are checked; those of tutorials by what people wrote of them."""
    written = (*ROOT.glob("*.md"), *(ROOT / DOCS).rglob("*.md"), *ROOT.glob("examples/*.md"))
    templates = {path.name for path in (ROOT / "tutorials" / "templates").iterdir()}
    recorded = {ROOT / DOCS / "tutorials" / name for name in templates}
    return sorted({*written, *ROOT.glob("tutorials/templates/*.md")} - recorded)


def prose(markdown: str) -> str:
    """The prose of a page, each block in the line in which it begins there.

    A bar ends a block or a cell, so that no word seems repeated from one to the next.
    """
    lines = [""] * (markdown.count("\n") + 1)
    for token in _MARKDOWN.parse(markdown):
        if token.type == "inline" and token.map:
            text = "".join(_text(child.type, child.content) for child in token.children or ())
            for line, part in enumerate(f"{text} |".split("\n"), token.map[0]):
                lines[line] += part
    return "\n".join(lines)


def _text(kind: str, content: str) -> str:
    match kind:
        case "text":
            return content
        case "softbreak" | "hardbreak":
            return "\n"
        case "code_inline":
            return _CODE
        case _:
            return ""


def complaints(name: str, text: str) -> Iterator[str]:
    """Yield what proselint finds in a text, with name and line."""
    from proselint.checks import __register__
    from proselint.config import DEFAULT
    from proselint.registry import CheckRegistry
    from proselint.tools import LintFile

    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many(__register__)
    # The first entry that fits a check decides, so what is ignored comes first.
    checks = {**_IGNORED, **DEFAULT["checks"], **_IGNORED}
    for found in LintFile(name, text).lint({**DEFAULT, "checks": checks}):
        yield f"{name}:{found.pos[0]}: {found.check_result.message}"


def main() -> int:
    """Print what is found; return the exit status."""
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in pages()}
    texts["the help texts"] = reference.command_line()
    found = [each for name, text in texts.items() for each in complaints(name, prose(text))]
    print("\n".join(found) if found else f"no complaint in the prose of {len(texts)} texts")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
