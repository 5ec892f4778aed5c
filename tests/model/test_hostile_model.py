"""Models from strangers: sizes are compared before memory is taken, and damage is noticed."""

import itertools
import json
import logging
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.descriptions import rewritten

from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import ModelSpec

SMALL = ModelSpec(latents=16, width=32, heads=4, layers=2, latent_channels=8)
NAMES = ("LV", "RV", "LA")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = SMALL.build(len(NAMES)).eval()
    trained = TrainedModel(network, NAMES, label_set("default"), 80.0, 0.1, 64, {})
    trained.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change(folder: Path, part: str | None, **values: Any) -> None:
    with rewritten(folder / "model.json") as content:
        (content[part] if part else content).update(values)


@pytest.mark.parametrize(
    "values",
    [
        {"width": 16384},
        {"width": 10**9},
        {"layers": 256},
        {"layers": 10**9},
        {"expansion": 64},
        {"latent_channels": 2**15},
        {"queries": "learnable", "latents": 2**17},
        {"heads": -1},
        {"width": "32; import os"},
        {"width": float("nan")},
    ],
    ids=str,
)
def test_no_memory_is_taken_for_what_the_weights_do_not_have(
    saved: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(saved, "model", **values)
    built = []
    build = ModelSpec.build

    def count(spec: ModelSpec, structures: int) -> Any:
        network = build(spec, structures)
        built.append(next(network.parameters()).device.type)
        return network

    monkeypatch.setattr(ModelSpec, "build", count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="damaged model: "):
        TrainedModel.from_pretrained(saved)
    assert set(built) <= {"meta"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize(
    "values",
    [
        {"structures": ["LV", "RV", "../LA"]},
        {"structures": ["LV", "RV"]},
        {"points": 10**12},
        {"mm_per_unit": float("nan")},
        {"mm_per_unit": float("inf")},
        {"truncation": 0},
        {"more": 1},
    ],
    ids=str,
)
def test_every_value_of_the_description_is_checked(saved: Path, values: dict[str, Any]) -> None:
    change(saved, None, **values)
    with pytest.raises(InputError, match="damaged model: "):
        TrainedModel.from_pretrained(saved)


def test_one_flipped_bit_in_the_weights_is_noticed(saved: Path) -> None:
    file = saved / "model.safetensors"
    whole = file.read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")
    generator = np.random.default_rng(0)
    for place in generator.integers(begin, len(whole), 30).tolist():
        bit = 1 << int(generator.integers(8))
        file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        with pytest.raises(InputError, match="damaged model: the weights are not those"):
            TrainedModel.from_pretrained(saved)
    file.write_bytes(whole)
    TrainedModel.from_pretrained(saved)


def _changed(content: Any) -> Iterator[Any]:
    """Yield copies of plain data, each with one value changed, or two exchanged."""
    if isinstance(content, dict):
        for name, value in content.items():
            for changed in _changed(value):
                yield content | {name: changed}
    elif isinstance(content, list):
        for first, second in itertools.combinations(range(len(content)), 2):
            exchanged = list(content)
            exchanged[first], exchanged[second] = content[second], content[first]
            yield exchanged
    elif isinstance(content, bool | str):
        yield not content if isinstance(content, bool) else content[:-1] + "_"
    elif content is not None:
        yield content + 1


def test_a_description_that_was_changed_is_refused(saved: Path) -> None:
    file = saved / "model.json"
    sound = json.loads(file.read_text())
    changes = list(_changed(sound))
    assert len(changes) > 30
    for content in changes:
        file.write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"model\.json: (damaged model|schema)"):
            TrainedModel.from_pretrained(saved)
    # Another order of the entries, and other spaces between them, change nothing.
    file.write_text(json.dumps(dict(reversed(sound.items()))))
    assert TrainedModel.from_pretrained(saved).structures == NAMES


def test_a_model_without_a_hash_is_read_with_a_warning(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with rewritten(saved / "model.json") as content:
        del content["weights_sha256"]
    with caplog.at_level(logging.WARNING):
        again = TrainedModel.from_pretrained(saved)
    for hash_of in ("without a hash,", "without a hash of itself,"):
        assert hash_of in caplog.text
    caplog.clear()
    again.save_pretrained(saved)
    TrainedModel.from_pretrained(saved)
    assert not caplog.text


def test_shapes_are_those_of_the_built_network() -> None:
    for spec in (SMALL, replace(SMALL, queries="learnable", bottleneck="kl", field="union")):
        weights = spec.build(3).state_dict()
        assert spec.weight_shapes(3) == {name: tuple(t.shape) for name, t in weights.items()}


def test_counting_weights_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    SMALL.weight_shapes(3)
    assert torch.equal(torch.get_rng_state(), state)
