"""Options of a recipe that are typed like those of a command, and options of other commands."""

import pytest
from support.command_line import run

TRAIN, PLAN = ("train", "data", "--out", "run"), ("plan", "data")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((*TRAIN, "--steps", 100), "unknown option --steps; write training.steps=100"),
        (("train", "--steps=100", *TRAIN[1:]), "unknown option --steps; write training.steps=100"),
        ((*TRAIN, "--log-every", 5), "unknown option --log-every; write training.log_every=5"),
        ((*TRAIN, "--model.width=64"), "unknown option --model.width; write model.width=64"),
        (
            (*TRAIN, "--compile", "--resume"),
            "unknown option --compile; write training.compile=true",
        ),
        (
            (*PLAN, "--surface", 64),
            "unknown option --surface; write batch.surface=64 or objective.surface=64",
        ),
        ((*TRAIN, "steps=100"), "'steps=100': not an override; write training.steps=100"),
        (
            (*PLAN, "training.stesp=100"),
            "'training.stesp=100': unknown option 'training.stesp'; write training.steps=100",
        ),
        (
            (*TRAIN, "--resolution", 64),
            "unknown option --resolution; it is an option of reconstruct",
        ),
        (("inspect", "a", "--faces=9"), "unknown option --faces; it is an option of reconstruct"),
        (("info", "run", "--folds", 3), "unknown option --folds; it is an option of prepare"),
        (
            ("inspect", "a", "--face=9"),
            "unknown option --face; did you mean --faces, an option of reconstruct?",
        ),
        (("inspect", "a", "--lables", "acdc"), "unknown option --lables; did you mean --labels?"),
    ],
)
def test_a_recipe_s_option_is_answered_with_what_to_type(
    words: tuple[object, ...],
    answer: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err == f"vecsetx: {answer}\n"


def test_a_misspelt_option_of_the_command_is_answered_with_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*TRAIN, "--preest", "tiny", monkeypatch=monkeypatch) == 2
    assert "--preset" in capfd.readouterr().err


def test_what_follows_two_dashes_is_no_option(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", "no-such-data", "--", "--steps=100", monkeypatch=monkeypatch) == 2
    assert "not an override; write training.steps=100" in capfd.readouterr().err


def test_a_command_without_words_asks_for_its_argument(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", monkeypatch=monkeypatch) == 2
    assert "Missing argument" in capfd.readouterr().err
