"""Changes to a recipe, and what is proposed for words that are none."""

from dataclasses import asdict

import pytest
import yaml

from vecsetx.errors import InputError
from vecsetx.recipe import Recipe, overrides_like, parse_overrides

DEFAULTS = {
    f"{part}.{name}": value
    for part, options in asdict(Recipe()).items()
    for name, value in options.items()
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_every_option_is_proposed_for_its_name_also_misspelt(key: str) -> None:
    name = key.partition(".")[2]
    namesakes = [other for other in DEFAULTS if other.partition(".")[2] == name]
    assert key in namesakes
    for typed in (f"{name}=5", f"{name.upper()}=5", f"wrong.{name}=5"):
        with pytest.raises(InputError) as raised:
            parse_overrides([typed])
        proposed = str(raised.value).partition("; write ")[2].split(" or ")
        assert [word.partition("=")[0] for word in proposed] == namesakes
    for typed in (f"{name}{name[-1]}=5", f"{key}{key[-1]}=5"):
        with pytest.raises(InputError, match=rf"\b{key}="):
            parse_overrides([typed])


@pytest.mark.parametrize("key", DEFAULTS)
def test_what_is_proposed_can_be_typed(key: str) -> None:
    value = yaml.safe_dump(DEFAULTS[key]).split("\n")[0]
    (word,) = overrides_like(key, value)
    assert Recipe().changed(parse_overrides([word]), "here") == Recipe() or word.endswith("=true")


def test_proposals_by_hand() -> None:
    assert overrides_like("steps", "100") == ["training.steps=100"]
    assert overrides_like("log-every", "5") == ["training.log_every=5"]
    assert overrides_like("surface", "64") == ["batch.surface=64", "objective.surface=64"]
    assert overrides_like("lr", "0.1") == ["optimizer.muon_lr=0.1", "optimizer.adamw_lr=0.1"]
    assert overrides_like("compile") == ["training.compile=true"]
    assert overrides_like("steps") == ["training.steps=VALUE"]
    assert overrides_like("colour", "red") == []


def test_a_file_s_misspelt_options_are_answered_with_near_ones() -> None:
    for changes, answer in (
        ({"steps": 100}, "file: unknown part 'steps'; did you mean training.steps?"),
        ({"model": {"wdth": 64}}, "file: unknown option 'model.wdth'; did you mean model.width?"),
        ({"colours": {}}, "file: unknown part 'colours'; choose from model, batch, augment"),
        ({None: {}}, "file: unknown part 'None'; choose from model, batch, augment"),
        (
            {"batch": {"colour": 1}},
            "file: unknown option 'batch.colour'; choose from hearts",
        ),
    ):
        with pytest.raises(InputError) as raised:
            Recipe().changed(changes, "file")
        assert str(raised.value).startswith(answer)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.steps=sixty", "training.steps='sixty': must be a whole number"),
        ("model.width=0", "model.width=0: must be at least 1"),
        ("model.width=1000000000", "model.width=1000000000: must be at most 32768"),
        ("optimizer.muon_lr=high", "optimizer.muon_lr='high': must be a number"),
        ("model.normals=maybe", "model.normals='maybe': must be true or false"),
        ("training.precision=fp8", "must be 'auto', 'fp32', 'bf16' or 'fp16'"),
        ("training.start=''", "training.start='': must not be empty"),
        ("training.teacher=''", "training.teacher='': must not be empty"),
        ("objective.truncation=1.0e-300", "objective.truncation=1e-300: must be at least 0.0001"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(override: str, said: str) -> None:
    with pytest.raises(InputError) as refusal:
        Recipe().changed(parse_overrides([override]), "command line")
    assert said in str(refusal.value)
    assert "Input should" not in str(refusal.value)
