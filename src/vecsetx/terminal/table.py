"""Tables of any width: columns fold or leave, and no number and no word is ever cut."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from vecsetx.terminal.progress_bars import console

__all__ = ["Column", "counted", "number", "print_list", "print_table"]

_GAP = 2
"""Blanks between columns: rich's padding and the blank of the box."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        heading: Its heading, which folds at blanks.
        meaning: What it means, said in a line below the table; empty if the heading says it.
        leaves: Priority of leaving a narrow terminal: the highest leaves first, 0 never.
        is_text: Whether it is text, which stands at the left and folds at blanks; numbers stand at
            the right and are never folded.
    """

    heading: str
    meaning: str = ""
    leaves: int = 0
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class _Filled:
    """A column with its cells."""

    column: Column
    cells: tuple[str, ...]

    @property
    def least(self) -> int:
        """The smallest width that cuts nothing."""
        words = [*self.column.heading.split(), *self.cells]
        if self.column.is_text:
            words = " ".join(words).split()
        return max(map(cell_len, words), default=0)

    @property
    def whole(self) -> int:
        """The width in which no cell is folded."""
        return max([self.least, *map(cell_len, self.cells)])


def print_table(
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    totals: Sequence[Sequence[str]] = (),
    also_in: str = "",
    styles: Sequence[str] = (),
) -> None:
    """Print a table as wide as the terminal allows.

    Columns whose cells are all empty are left out. If the others are too wide, text folds at
    blanks; if that is not enough, columns leave by their priority, and a line names them. If even
    the columns that never leave are too wide, the lines run beyond the edge, uncut.

    Args:
        title: What the table shows.
        columns: The columns.
        rows: Cells of each row as plain text, one per column.
        totals: Rows below a line, such as means; bold.
        also_in: A file that has the columns that left.
        styles: The style of each row, such as ``yellow``; empty for no styles.
    """
    cells = zip(*rows, *totals, strict=True) if rows or totals else [()] * len(columns)
    filled = [_Filled(*pair) for pair in zip(columns, map(tuple, cells), strict=True)]
    filled = [one for one in filled if any(one.cells) or not one.cells]
    shown = _fitting(filled, console.width)
    console.print(f"\n{title}", style="italic", markup=False)
    _draw(shown, len(rows), len(totals), styles)
    _explain([one.column for one in shown])
    left = [one.column.heading for one in filled if one not in shown]
    if left:
        where = f", or see {also_in}" if also_in else ""
        console.print(
            f"left out at {console.width} columns: {', '.join(left)}; widen the terminal{where}",
            style="dim",
            markup=False,
        )


def print_list(items: Sequence[str], style: str = "") -> None:
    """Print sentences as a list; lines fold at blanks only, so that paths can be copied."""
    for item in items:
        folded = textwrap.fill(
            item,
            console.width,
            initial_indent="  • ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        console.print(folded, style=style, markup=False, soft_wrap=True)


def counted(count: int, noun: str) -> str:
    """Return ``1 heart``, ``2 hearts``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: int | float | None, form: str) -> str:
    """Format a number for a cell; a dash if it is unknown."""
    return "–" if value is None else format(value, form)


def _fitting(filled: Sequence[_Filled], width: int) -> list[_Filled]:
    """Return the columns that fit into ``width``: as many as possible, by priority."""
    shown = list(filled)
    while _width([one.least for one in shown]) > width:
        first = max(reversed(shown), key=lambda one: one.column.leaves)
        if not first.column.leaves:
            break
        shown.remove(first)
    return shown


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _draw(shown: Sequence[_Filled], rows: int, totals: int, styles: Sequence[str]) -> None:
    # What is left of the width unfolds text, then headings, from left to right.
    widths = [one.least for one in shown]
    spare = max(console.width - _width(widths), 0)
    for wanted in ([one.whole for one in shown], [cell_len(one.column.heading) for one in shown]):
        for place, width in enumerate(wanted):
            more = min(max(width - widths[place], 0), spare)
            widths[place], spare = widths[place] + more, spare - more
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
    for one, width in zip(shown, widths, strict=True):
        justify: Literal["left", "right"] = "left" if one.column.is_text else "right"
        table.add_column(Text(one.column.heading), justify=justify, width=width, overflow="fold")
    for row in range(rows + totals):
        if totals and row == rows:
            table.add_section()
        style = "bold" if row >= rows else styles[row] if styles else ""
        table.add_row(*(Text(one.cells[row]) for one in shown), style=style)
    # Rendered as wide as it has to be: rich would squeeze it into the terminal, and cut numbers.
    options = console.options.update(width=_width(widths))
    console.print(Segments(console.render(table, options)), soft_wrap=True, end="")


def _explain(columns: Sequence[Column]) -> None:
    meanings = [f"{column.heading}: {column.meaning}" for column in columns if column.meaning]
    if meanings:
        console.print("; ".join(meanings), style="dim", markup=False)
