"""Words that may be meant by a word that is not known."""

import pytest
from support.command_line import every_command, run

from vecsetx.errors import InputError
from vecsetx.presets import PRESETS, preset
from vecsetx.recipe import Recipe
from vecsetx.suggestions import did_you_mean, nearest, unknown


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("aotra", ("RA", "Aorta", "LA"), ["Aorta"]),  # RA is half alike
        ("cmm", ("m", "cm", "mm", "um"), ["mm", "cm"]),
        ("ACDC", ("acdc", "mnms"), ["acdc"]),
        ("lv", ("LV", "Lv"), ["LV", "Lv"]),
        ("xyz", ("LV",), []),
        ("", ("LV",), []),
        ("LV", (), []),
        ("LV" * 10_000, ("LV",), []),
    ],
)
def test_the_words_that_are_most_alike(word: str, known: tuple[str, ...], found) -> None:
    assert sorted(nearest(word, known)) == sorted(found)


def test_of_words_that_are_equally_alike_the_first_are_suggested() -> None:
    hearts = [f"case{number:03d}" for number in range(10)]
    assert nearest("case00", hearts) == ["case000", "case001"]
    assert nearest("case00", hearts[::-1]) == ["case009", "case008"]
    assert nearest("case005", hearts) == ["case005", "case000"]


def test_a_word_that_nothing_is_like_lists_what_there_is() -> None:
    assert did_you_mean("xyz", ("LV", "RV")) == "choose from LV, RV"
    many = [f"case{i:03d}" for i in range(100)]
    listed = ", ".join(many[:40])
    assert did_you_mean("xyz", many) == f"choose from {listed} and 60 others"
    assert unknown("heart", "x" * 1000, ("LV",)) == (f"unknown heart '{'x' * 80}…'; choose from LV")


@pytest.mark.parametrize("name", every_command())
def test_every_misspelt_command_and_option_is_suggested(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    *group, own = name.split()
    misspelt = own[:-1] + "q" + own[-1]
    assert run(*group, misspelt, monkeypatch=monkeypatch) == 2
    told = capfd.readouterr().err
    assert told == f"vecsetx: unknown command {misspelt!r}; did you mean {own}?\n"
    assert run(*name.split(), "--quietly", monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err == "vecsetx: unknown option --quietly; did you mean --quiet?\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fit", "data"), "unknown command 'fit'; did you mean shape fit?"),
        *(((*w, "-h"), "unknown option -h; did you mean --help?") for w in ((), ("labels",))),
        (("--verison",), "unknown option --verison; did you mean --version?"),
        (
            ("inspect", "a", "--zzz"),
            "unknown option --zzz; vecsetx inspect --help lists the options",
        ),
        (
            ("inspect", "a", "--units", "inch"),
            "--units: unknown value 'inch'; choose from m, cm, mm, um",
        ),
        (
            ("reconstruct", "a", "--out", "o", "--format=vpt"),
            "--format: unknown value 'vpt'; did you mean vtp?",
        ),
        (
            ("evaluate", "a", "--out", "o", "--split", "vla"),
            "--split: unknown value 'vla'; did you mean val?",
        ),
    ],
)
def test_what_is_told_of_other_words(
    words: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert capfd.readouterr().err == f"vecsetx: {told}\n"


def test_a_preset_is_suggested_and_never_guessed() -> None:
    for name in PRESETS:
        misspelt = name.replace("-", "_", 1) if "-" in name else f"{name}{name[-1]}"
        with pytest.raises(InputError, match=f"unknown preset '{misspelt}'; did you mean {name}"):
            preset(misspelt)


def test_a_value_of_a_recipe_is_suggested() -> None:
    with pytest.raises(InputError, match=r"or 'learnable'; did you mean learnable\?$"):
        Recipe().changed({"model": {"queries": "learnble"}}, "file")
    with pytest.raises(InputError, match=r"or 'learnable'$"):
        Recipe().changed({"model": {"queries": "x"}}, "file")
