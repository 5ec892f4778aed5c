"""``--ensemble N`` of three commands, and ``--draws N``, its former name."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vecsetx.cli import app
from vecsetx.errors import InputError

COMMANDS = ("reconstruct", "evaluate", "calibrate")


class CalledError(InputError):
    """Ends a command as soon as it has called its function."""


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def sizes(command: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Receives the size of the ensemble with which the command's function is called."""
    found: list[int] = []

    def called(*arguments: Any, **_: Any) -> None:
        members = arguments[4] if command == "calibrate" else arguments[3].ensemble
        found.append(members)
        raise CalledError("called")

    monkeypatch.setattr(f"vecsetx.commands.{command}.{command}", called)
    return found


def output(command: str, folder: Path, *words: object) -> str:
    out = () if command == "calibrate" else ("--out", folder / "out")
    result = CliRunner().invoke(
        app, [command, *map(str, (folder, "--model", folder, *out, *words))]
    )
    assert isinstance(result.exception, CalledError), result.output
    return result.output


def test_both_names_give_the_size(command: str, sizes: list[int], tmp_path: Path) -> None:
    assert "--draws" not in output(command, tmp_path, "--ensemble", 5)
    told = output(command, tmp_path, "--draws", 3)
    assert "--draws is now called --ensemble and will be removed; use --ensemble 3" in told
    output(command, tmp_path)
    assert sizes == [5, 3, 8 if command == "calibrate" else 0]


def test_help_shows_only_the_new_name(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"]).output
    assert "--ensemble" in told
    assert "--draws" not in told
