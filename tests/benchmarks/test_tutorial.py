"""The tutorial is what its template and the present command line make."""

import re
import shlex
from pathlib import Path

import pytest
import tutorial
import typer

from vecsetx.cli import app
from vecsetx.errors import InputError

PAGE = tutorial.TUTORIAL.read_text(encoding="utf-8")
TEMPLATE = tutorial.TEMPLATE.read_text(encoding="utf-8")
COMMANDS = [line for line in tutorial.commands(PAGE) if line.startswith("vecsetx ")]


def test_the_page_is_its_template_with_outputs() -> None:
    assert tutorial.without_outputs(PAGE) == TEMPLATE
    outputs = set(PAGE.splitlines()) - set(TEMPLATE.splitlines())
    assert len(outputs) > 50


def test_the_page_has_no_paths_of_a_machine() -> None:
    assert not re.search(r"/tmp|/root|/home|/work|/Users", PAGE)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_parses(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()  # else looked for on the Hugging Face Hub
    _, name, *words = shlex.split(line)
    command = typer.main.get_command(app).get_command(None, name)
    command.make_context(name, words)


def test_a_command_with_an_unknown_option_does_not_parse() -> None:
    command = typer.main.get_command(app).get_command(None, "train")
    with pytest.raises(InputError, match="unknown option --steps"):
        command.make_context("train", ["data", "--out", "run", "--steps", "9"])


def test_progress_is_kept_in_its_last_state_only() -> None:
    output = """\
loading (2 s)
sampling hearts: 0/8 (for 3 s)
sampling hearts: 1/8 phantom000 (5.5 hearts/min, 77 s left)
sampling hearts: 8/8 phantom007 (41 hearts/min, took 12 s)
see /tmp/x/check.html
training: 10/10 loss 0.4 (2.0 steps/s, took 5 s)
writing scores and report: meshing, 40% (4 s)
"""
    assert (
        tutorial.readable(output, "/tmp/x")
        == """\
sampling hearts: 8/8 phantom007 (41 hearts/min, took 12 s)
see ~/hearts/check.html
training: 10/10 loss 0.4 (2.0 steps/s, took 5 s)"""
    )


def test_a_failure_has_to_be_shown(tmp_path: Path) -> None:
    parts = list(tutorial.recorded("$ ls nowhere\n$ echo $?\n$ ls\n", tmp_path))
    _, failed, _, shown, _, listed = parts
    assert "No such file" in failed.output
    assert shown.output == str(failed.status) != "0"
    assert listed == tutorial.Run("ls", 0, "")
    for walk in ("$ ls nowhere\n$ ls\n", "$ ls nowhere\n"):
        with pytest.raises(RuntimeError, match="exit status"):
            list(tutorial.recorded(walk, tmp_path))


def test_an_interrupted_recording_goes_on_where_it_was(tmp_path: Path) -> None:
    earlier = [tutorial.Run("ls a", 0, "a"), tutorial.Run("ls b", 0, "b")]
    (tmp_path / "c").touch()
    parts = list(tutorial.recorded("$ ls a\n$ ls c\n$ ls b\n$ echo $?\n", tmp_path, earlier))
    made = [part for part in parts if isinstance(part, tutorial.Run)]
    # What follows a command that changed is run again.
    assert [run.output for run in made[:2]] == ["a", "c"]
    assert made[2].status != 0
