"""The tutorials are what their templates and the present command line make."""

import ast
import importlib
import os
import re
import shlex
from itertools import chain
from pathlib import Path

import pytest
import record
import typer
from PIL import Image
from tutorial_page import Code, Command, Picture, outputs_of, steps, without_outputs

from vecsetx.cli import app
from vecsetx.errors import InputError

PAGES = {name: record.page_of(name) for name in record.NAMES}
STEPS = {name: steps(record.template_of(name)) for name in record.NAMES}
COMMANDS = sorted(
    {
        step.line
        for step in chain.from_iterable(STEPS.values())
        if isinstance(step, Command) and step.line.startswith("vecsetx ")
    }
)
MOST_BYTES = 5_000_000
"""Of all committed pictures."""


def parse(line: str) -> None:
    """Parse a command as the command line does, without running it."""
    _, *words = shlex.split(line)
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):  # a group, such as shape
        command = command.get_command(None, words.pop(0))
    command.make_context(command.name, words)


def test_every_template_is_a_tutorial() -> None:
    assert {path.stem for path in record.TEMPLATES.iterdir()} == set(record.NAMES)
    assert {path.stem for path in record.PAGES.glob("*.md")} >= set(record.NAMES)


@pytest.mark.parametrize("name", record.NAMES)
def test_each_page_is_its_template_with_outputs(name: str) -> None:
    assert without_outputs(PAGES[name]) == record.template_of(name)
    printed = [output for output in outputs_of(PAGES[name]) if output]
    assert len(printed) >= 3


@pytest.mark.parametrize("name", record.NAMES)
def test_no_page_has_paths_of_a_machine(name: str) -> None:
    assert not re.search(r"/tmp|/root|/home|/work|/Users", PAGES[name])


@pytest.mark.parametrize("name", record.NAMES)
def test_links_of_each_page_lead_to_files(name: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[name])
    assert targets
    missing = [target for target in targets if not (record.PAGES / target).exists()]
    assert not missing


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for model in ("run", "without", "with"):  # else looked for on the Hugging Face Hub
        (tmp_path / model).mkdir()
    parse(line)


def test_a_command_with_an_unknown_option_does_not_parse() -> None:
    with pytest.raises(InputError, match="unknown option --steps"):
        parse("vecsetx train data --out run --steps 9")
    with pytest.raises(InputError, match="unknown option --counts"):
        parse("vecsetx shape sample space --out cohort --counts 9")


@pytest.mark.parametrize("name", record.NAMES)
def test_python_imports_what_there_is(name: str) -> None:
    for step in STEPS[name]:
        if isinstance(step, Code):
            for node in ast.walk(ast.parse(step.source)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("vecsetx"):
                    module = importlib.import_module(node.module)
                    assert all(hasattr(module, alias.name) for alias in node.names)


def test_there_are_the_pictures_that_pages_show_and_no_others() -> None:
    shown = [step for each in STEPS.values() for step in each if isinstance(step, Picture)]
    assert all(any(isinstance(step, Picture) for step in each) for each in STEPS.values())
    assert sorted(picture.name for picture in shown) == sorted(os.listdir(record.PICTURES))


def test_pictures_are_small_and_not_blank() -> None:
    paths = list(record.PICTURES.iterdir())
    assert sum(path.stat().st_size for path in paths) <= MOST_BYTES
    for path in paths:
        with Image.open(path) as picture:
            assert max(picture.size) <= 1200
            assert len(picture.convert("RGB").getcolors(1 << 21)) > 100, path
