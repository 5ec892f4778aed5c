"""What ``--help`` shows, and how bad options are refused."""

from pathlib import Path

import pytest
from support.command_line import run
from typer.main import get_command
from typer.testing import CliRunner

from vecsetx.cli import app

COMMANDS = get_command(app).commands
PANELS = ("Data", "Training", "Use", "Looking", "Populations")


def helped(*words: str) -> list[str]:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    return result.output.splitlines()


def test_the_first_line_is_what_to_type_first() -> None:
    usage, first, *_ = [line.strip() for line in helped() if line.strip()]
    assert usage.startswith("Usage: vecsetx") or usage.startswith("Usage: root")
    assert first.startswith("Start with vecsetx inspect FILES:")


def test_commands_are_listed_in_groups() -> None:
    lines = helped()
    rows = [next(n for n, line in enumerate(lines) if f"─ {panel} ─" in line) for panel in PANELS]
    assert rows == sorted(rows)
    listed = {
        panel: {line.split()[1] for line in lines[start:end] if line[:3].strip("│ ").islower()}
        for panel, start, end in zip(PANELS, rows, [*rows[1:], len(lines)], strict=True)
    }
    assert {"inspect", "prepare", "check"} <= listed["Data"]
    assert {"plan", "train", "diagnose"} <= listed["Training"]
    assert {"reconstruct", "evaluate", "calibrate", "compare"} <= listed["Use"]
    assert "info" in listed["Looking"]
    assert listed["Populations"] == {"shape"}
    assert set().union(*listed.values()) == set(COMMANDS)


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)], ids=str)
def test_options_without_a_value_show_none(words: tuple[str, ...]) -> None:
    assert "bool" not in "\n".join(helped(*words))


@pytest.mark.parametrize("command", [("plan", "data"), ("train", "data", "--out", "out")])
def test_a_missing_recipe_is_told_in_one_line(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*command, "--config", "no.yaml", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == (
        "vecsetx: no.yaml: no such file; give --config a YAML file with changes to the preset, "
        "such as {training: {steps: 3000}}\n"
    )


def test_a_missing_label_set_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("prepare", "maps", "--out", "data", "--labels", "no.yaml")
    assert run(*words, monkeypatch=monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("vecsetx: no.yaml: no such file; give --labels default, ")
    assert said.endswith("or a YAML file such as {ids: {1: LV, 2: Myocardium}}\n")
    assert said.count("\n") == 1


def test_a_paragraph_folds_where_the_terminal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip() for line in helped("reconstruct")]
    row = next(n for n, line in enumerate(lines) if line.startswith("Writes a mesh per structure"))
    assert lines[row].endswith(" label maps, a page")
    assert lines[row + 1 : row + 3] == ["(heart.html) and summary.json.", ""]
