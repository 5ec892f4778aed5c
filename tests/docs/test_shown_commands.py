"""Every command that README and docs show is one: it is parsed up to its execution."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from support.command_line import every_command
from support.pages import DOCS, ROOT, pages, shown_lines
from typer.main import get_command

from vecsetx.cli import app
from vecsetx.presets import PRESETS
from vecsetx.recipe import parse_overrides

COMMANDS = every_command()
ROOT_CONTEXT = get_command(app).make_context("vecsetx", [], resilient_parsing=True)

_UNTIL = re.compile(r"\s(?:>|#|&&|\|)(?:\s|$)|\s*;|\s&$")
_INCOMPLETE = {"MissingParameter", "BadOptionUsage"}
_PLACEHOLDERS = {"COMMAND", "…", "..."}
_OF_ALL = ("--help", "--version", "--install-completion", "--show-completion")


def shown() -> Iterator[tuple[str, str, bool]]:
    for page in pages():
        if page.parent.name == "tutorials":  # their templates' tests parse them
            continue
        for line, is_whole in shown_lines(page):
            _, here, command = line.rpartition("-m vecsetx ")  # as in torchrun … -m vecsetx
            if here or line.startswith("vecsetx "):
                yield (
                    str(page.relative_to(ROOT)),
                    command if here else line.removeprefix("vecsetx "),
                    is_whole,
                )


def parsed(line: str, is_whole: bool = True) -> None:
    """Parse what follows ``vecsetx``; what is not whole may lack arguments.

    Raises:
        Exception: It is no command.
    """
    words = shlex.split(_UNTIL.split(f"{line} ", maxsplit=1)[0])
    if _PLACEHOLDERS & set(words) or (len(words) == 1 and words[0] in _OF_ALL):
        return
    name = words.pop(0)
    if name == "shape" and words:
        name = f"shape {words.pop(0)}"
    if not words:  # only mentioned
        assert name in {*COMMANDS, "shape"}, f"there is no command {name}"
        return
    command = COMMANDS[name]
    try:
        context = command.make_context(name, words, parent=ROOT_CONTEXT)
    except Exception as error:
        if is_whole or type(error).__name__ not in _INCOMPLETE:
            raise
        return
    if "overrides" in context.params:
        preset = PRESETS[context.params.get("preset") or "tiny"]
        preset.changed(parse_overrides(context.params["overrides"] or ()), "the page")


@pytest.mark.parametrize("page", sorted({page for page, *_ in shown()}))
def test_commands_are_valid(page: str) -> None:
    for of, line, is_whole in shown():
        if of == page:
            try:
                parsed(line, is_whole)
            except (Exception, SystemExit) as error:
                pytest.fail(f"{page}: vecsetx {line}: {error!r}")


@pytest.mark.parametrize(
    "line",
    [
        "recnstruct a.nii.gz --out b/",
        "reconstruct a.nii.gz --oout b/",
        "reconstruct a.nii.gz",
        "reconstruct a.nii.gz --out b/ --refine many",
        "train data/ --out run/ trainig.steps=3",
        "shape fitt data/ --out space/",
    ],
)
def test_a_wrong_command_is_found(line: str) -> None:
    with pytest.raises((Exception, SystemExit)):
        parsed(line)


@pytest.mark.parametrize(("name", "command"), COMMANDS.items())
def test_the_example_of_a_help_is_valid(name: str, command: Any) -> None:
    (line,) = re.findall(r"Example: vecsetx (.*)", Text.from_markup(command.help).plain)
    assert line.startswith(name)
    parsed(line)


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    found = {
        target
        for page in pages()
        if page.name != "CHANGELOG.md"
        for line, _ in shown_lines(page)
        for target in re.findall(r"^make ([a-z][a-z-]*)", line)
    }
    assert {"demo", "docs"} <= found <= targets


def test_jobs_and_programs_that_are_shown_exist() -> None:
    programs = {
        path
        for page in pages()
        if page.name not in ("CHANGELOG.md", "lab-log.md")
        for line, _ in shown_lines(page)
        for path in re.findall(r"(?:^|\s)((?:slurm|benchmarks|examples)/[\w-]+\.\w+)", line)
    }
    assert {"slurm/prepare.sh", "examples/simulate.py"} <= programs
    assert not [path for path in programs if not Path(ROOT / path).is_file()]


def test_every_command_is_on_the_first_page() -> None:
    table = (DOCS / "index.md").read_text("utf-8").partition("## Commands")[2]
    named = set(re.findall(r"`([a-z-]+)`", table))
    assert {name.partition(" ")[0] for name in COMMANDS} <= named
