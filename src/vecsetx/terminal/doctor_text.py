"""The report of ``vecsetx doctor``: plain lines, which a bug report can hold."""

from collections.abc import Iterator, Sequence

from vecsetx.doctor.section import Section
from vecsetx.terminal.table import counted

__all__ = ["section_lines", "verdict_lines"]


def section_lines(section: Section) -> Iterator[str]:
    """Yield the lines of one part: its title, and a line per fact."""
    yield section.title
    width = max(map(len, section.facts), default=0)
    for name, text in section.facts.items():
        yield f"  {name:{width}}  {_plain(text)}"
    if not section.facts:
        yield "  none"


def verdict_lines(problems: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong, with the remedies, or that nothing is."""
    if not problems:
        yield "no problem found"
        return
    yield f"{counted(len(problems), 'problem')}:"
    for problem in problems:
        yield f"  {_plain(problem)}"


def _plain(text: str) -> str:
    """Replace control characters, as of a variable, by which the terminal could be steered."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)
