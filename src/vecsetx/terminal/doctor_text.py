"""The report of ``vecsetx doctor``: plain lines, which a bug report can hold."""

from collections.abc import Sequence

from vecsetx.doctor.section import Section
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import counted

__all__ = ["print_section", "print_verdict"]


def print_section(section: Section) -> None:
    """Print one part: its title, and a line per fact."""
    _print(section.title)
    width = max(map(len, section.facts), default=0)
    for name, text in section.facts.items():
        _print(f"  {name:{width}}  {text}")
    if not section.facts:
        _print("  none")


def print_verdict(problems: Sequence[str]) -> None:
    """Print what is wrong, with the remedies, or that nothing is."""
    if not problems:
        _print("no problem found")
        return
    _print(f"{counted(len(problems), 'problem')}:")
    for problem in problems:
        _print(f"  {problem}")


def _print(line: str) -> None:
    """Print a line without control characters, as of a variable, which could steer the terminal."""
    shown = "".join(sign if sign.isprintable() else "�" for sign in line)
    console.print(shown, markup=False, soft_wrap=True)
