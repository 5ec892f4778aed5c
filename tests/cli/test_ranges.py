"""Every number that a command takes, on the command line or in a recipe, has a range."""

from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from support.command_line import every_command, run
from typer.core import TyperCommand

from vecsetx.cli.failures import errors_in_one_line
from vecsetx.cli.options import recipe_of
from vecsetx.errors import InputError
from vecsetx.recipe import Recipe

COMMANDS = every_command()
TRIED = ("0", "-1", "nan", "inf", "1e12", "1000000000000", "word")
VALID = {
    "--seed": {"0", "1000000000000"},
    **{name: {"0"} for name in ("--pictures", "--fold", "--refine", "--recycle", "--draws")},
    "--val-share": {"0"},
    "--valves": {"0"},
    "--through-plane": {"0"},
    "--reach": {"inf", "1e12", "1000000000000"},
}
"""Option → which of these values are sound; all others are refused."""

VALID_OF = {("evaluate", "--ensemble"): {"0"}, ("reconstruct", "--ensemble"): {"0"}}


NUMBERS = (int, float, int | None, float | None)


def numeric_options() -> list[tuple[str, str]]:
    """Command and option, of all options that take a number."""
    return [
        (name, option.opts[-1])
        for name, command in COMMANDS.items()
        for option in command.params
        if get_type_hints(COMMANDS[name].callback).get(option.name) in NUMBERS
    ]


NUMERIC = numeric_options()
RECIPE = [
    (part.name, field.name)
    for part in fields(Recipe)
    for field in fields(get_type_hints(Recipe)[part.name])
    if isinstance(getattr(getattr(Recipe(), part.name), field.name), int | float | None)
    and not isinstance(getattr(getattr(Recipe(), part.name), field.name), bool)
    and field.name not in {"start", "teacher"}
]


def words_of(command: str) -> list[str]:
    """What the command asks for: inputs that do not exist, and a folder that does not, either."""
    words = []
    for option in COMMANDS[command].params:
        if option.required:
            words += [option.opts[-1]] * (option.param_type_name == "option") + ["no/such"]
    return words


def test_all_commands_and_options_are_tried() -> None:
    assert len(NUMERIC) >= 40
    assert {command for command, _ in NUMERIC} >= {
        *("prepare", "check", "export", "phantom", "plan", "train", "demo", "vary"),
        *("reconstruct", "evaluate", "calibrate", "compare", "measure", "volume-mesh"),
    }
    assert len(RECIPE) >= 50


@pytest.mark.parametrize(("command", "option"), NUMERIC, ids=" ".join)
def test_a_number_out_of_its_range_is_refused_before_anything_is_read(
    command: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    called: list[str] = []
    monkeypatch.setattr(COMMANDS[command], "callback", lambda **_: called.append(command))
    monkeypatch.setattr(type(COMMANDS[command]), "invoke", TyperCommand.invoke)  # loads nothing
    sound = VALID_OF.get((command, option), VALID.get(option, set()))
    for value in TRIED:
        called.clear()
        status = 0
        try:
            with errors_in_one_line():
                COMMANDS[command](args=[*words_of(command), f"{option}={value}"])
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capsys.readouterr().err
        if value in sound:
            assert (status, called) == (0, [command])
        else:
            assert (status, called) == (2, [])
            assert said.startswith(f"vecsetx: {option} {value}: must be a ")
            assert said.count("\n") == 1
            assert said.endswith("\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", [".".join(key) for key in RECIPE])
def test_a_number_of_a_recipe_out_of_its_range_is_refused(key: str) -> None:
    for value in ("-1", ".nan", ".inf", "-.inf", "1e+300", "9" * 30, "word"):
        with pytest.raises(InputError) as refused:
            recipe_of("tiny", None, [f"{key}={value}"])
        assert str(refused.value).startswith(f"command line: {key}=")
        assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.width=1000000000", "at most 32768; it would take over 16,000,000,000 GB of memory"),
        ("model.layers=1000000000", "at most 256; it would take over 65,536 GB of memory"),
        ("batch.hearts=1000000000", "at most 65536; it would take over 73,728 GB of memory"),
    ],
)
@pytest.mark.parametrize("words", [("plan", "data"), ("train", "data", "--out", "out")])
def test_a_size_beyond_all_memory_says_what_it_would_take(
    words: tuple[str, ...], override: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    assert run(*words, override, monkeypatch=monkeypatch) == 2
    key, _, value = override.partition("=")
    assert capsys.readouterr().err == f"vecsetx: command line: {key}={value}: must be {told}\n"
