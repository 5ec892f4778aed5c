"""A space on disk: the same again, or refused."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from population.test_drawing import saved  # noqa: F401
from support.pages import documented_fields

from vecsetx.errors import InputError
from vecsetx.population.space_file import SavedSpace


@pytest.fixture
def folder(saved: SavedSpace, tmp_path: Path) -> Path:  # noqa: F811
    saved.write(tmp_path / "space")
    return tmp_path / "space"


def test_it_is_the_same_again(saved: SavedSpace, folder: Path) -> None:  # noqa: F811
    again = SavedSpace.read(folder)
    for name in ("mean", "modes", "sd"):
        np.testing.assert_array_equal(getattr(again.space, name), getattr(saved.space, name))
    assert again.space.weight == saved.space.weight
    for name in ("points", "normals", "structure", "anchors"):
        np.testing.assert_array_equal(getattr(again.template, name), getattr(saved.template, name))
    for field in fields(saved.cohort):
        own, other = (getattr(one.cohort, field.name) for one in (saved, again))
        if field.name != "structure":  # that of the template, which has no structures here
            np.testing.assert_array_equal(other, own)
    assert (again.model, again.structures) == (saved.model, saved.structures)
    saved.write(folder)
    assert SavedSpace.read(folder).sha256 == again.sha256 != ""
    described = json.loads((folder / "space.json").read_text("utf-8"))
    assert set(described) == documented_fields("space.json")


def test_damage_anywhere_is_refused(folder: Path) -> None:
    arrays = folder / "space.safetensors"
    content = bytearray(arrays.read_bytes())
    for place in (3, len(content) // 2, len(content) - 1):
        damaged = content.copy()
        damaged[place] ^= 1
        arrays.write_bytes(damaged)
        with pytest.raises(InputError, match=r"space: cannot be read as a shape space"):
            SavedSpace.read(folder)
    arrays.write_bytes(content)
    SavedSpace.read(folder)
    arrays.unlink()
    with pytest.raises(InputError, match="cannot be read as a shape space"):
        SavedSpace.read(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"structures": ["LV", "RV"]},
        {"hearts": ["../escape"]},
        {"anchors": 10**15},
        {"weight": [1, 2]},
        {"more": 1},
        {"sha256": "0"},
    ],
)
def test_a_changed_description_is_refused(folder: Path, change: dict) -> None:
    path = folder / "space.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match="cannot be read as a shape space"):
        SavedSpace.read(folder)


def test_a_folder_without_one_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no shape space; make a shape space with"):
        SavedSpace.read(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: no such folder; make a shape space with"):
        SavedSpace.read(tmp_path / "nowhere")
