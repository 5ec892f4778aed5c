"""The templates of tutorials, and the pages that outputs turn them into.

A template is a Markdown page. Its steps are

* commands: lines that begin with ``$`` in a block ``console``; their outputs go below them,
* blocks ``python``, which share their variables; what they print goes into a block ``text`` below,
* pictures: a comment ``<!-- draw: ... -->`` has the words for ``draw.py``, and the line below it
  shows the picture.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PROMPT, FENCE = "$ ", "```"
CONSOLE, PYTHON, TEXT = "```console", "```python", "```text"

_DRAWN = re.compile(r"<!-- draw: (.+) -->")
_SHOWN = re.compile(r"!\[.+\]\(pictures/([\w.-]+\.webp)\)")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a console, without the prompt."""

    line: str


@dataclass(frozen=True, slots=True)
class Code:
    """A block of Python."""

    source: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: the words for ``draw.py``, and its file's name."""

    words: str
    name: str


Step = Command | Code | Picture


def steps(template: str) -> list[Step]:
    """The steps of a template, in order."""
    return [part for part in _parts(template) if not isinstance(part, str)]


def filled(template: str, outputs: Sequence[str]) -> str:
    """The page: a template with the output of each of its commands and blocks, in order.

    Raises:
        ValueError: A line of an output would be read as a command or as the end of its block.
    """
    for line in "\n".join(outputs).splitlines():
        if line.startswith((PROMPT, FENCE)):
            raise ValueError(f"an output has a line that a page cannot hold: {line}")
    left = iter(outputs)
    lines: list[str] = []
    for part in _parts(template):
        if isinstance(part, str):
            lines.append(part)
        elif isinstance(part, Command):
            lines += [output] if (output := next(left)) else []
        elif isinstance(part, Code):
            lines += ["", TEXT, output, FENCE] if (output := next(left)) else []
    return "\n".join(lines) + "\n"


def without_outputs(page: str) -> str:
    """The template of a page."""
    return _split(page)[0]


def outputs_of(page: str) -> list[str]:
    """The outputs of a page, as :func:`filled` takes them."""
    return _split(page)[1]


def _parts(template: str) -> Iterator[str | Step]:
    """Yield each line, and after its last line each step."""
    lines = iter(template.splitlines())
    for line in lines:
        yield line
        if line == CONSOLE:
            while (inside := next(lines)) != FENCE:
                yield inside
                if not inside.startswith(PROMPT):
                    raise ValueError(f"a console's line is no command: {inside}")
                yield Command(inside.removeprefix(PROMPT))
            yield FENCE
        elif line == PYTHON:
            source = []
            while (inside := next(lines)) != FENCE:
                yield inside
                source.append(inside)
            yield FENCE
            yield Code("\n".join(source) + "\n")
        elif line.startswith(FENCE):
            if line == TEXT:
                raise ValueError("a block of text is an output; a template has none")
            while (inside := next(lines)) != FENCE:
                yield inside
            yield FENCE
        elif drawn := _DRAWN.fullmatch(line):
            shown = next(lines)
            yield shown
            if (found := _SHOWN.fullmatch(shown)) is None:
                raise ValueError(f"no picture below {line}: {shown}")
            yield Picture(drawn[1], found[1])


def _split(page: str) -> tuple[str, list[str]]:
    """A page's template and outputs."""
    kept: list[str] = []
    outputs: list[list[str]] = []
    block = ""
    for line in page.splitlines():
        if block == TEXT:
            if line == FENCE:
                block = ""
            else:
                outputs[-1].append(line)
        elif line == TEXT:
            block = TEXT
            kept.pop()  # the empty line before it
        elif block == CONSOLE and line != FENCE and not line.startswith(PROMPT):
            outputs[-1].append(line)
        else:
            kept.append(line)
            if block == CONSOLE and line.startswith(PROMPT):
                outputs.append([])
            elif block and line == FENCE:
                outputs += [[]] if block == PYTHON else []
                block = ""
            elif line.startswith(FENCE):
                block = line
    return "\n".join(kept) + "\n", ["\n".join(lines) for lines in outputs]
