"""Files that released versions wrote are read, and mean what they meant (docs/compatibility.md)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from support.upgrade import RECIPE, hashes_of, numbers_of

from vecsetx import load
from vecsetx.commands.compare import compare_scores
from vecsetx.commands.info import describe
from vecsetx.errors import InputError
from vecsetx.formats.own_results import guessed_in
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.runs.run_folder import check_folder
from vecsetx.training.journal import read_journal

VERSIONS = sorted((Path(__file__).parent / "fixtures").glob("[0-9]*"))

KINDS = {
    "data": "data set",
    "run": "run",
    "run/model": "model",
    "npz": "exported hearts",
    "space": "shape space",
    "scores-a": "scores",
    "comparison": "comparison",
    "measures": "measures",
    "heart": "reconstruction",
}

pytestmark = pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)


def test_arrays_are_the_same_to_the_bit(folder: Path) -> None:
    assert hashes_of(folder) == json.loads((folder / "hashes.json").read_text())


def test_a_model_encodes_as_it_did_and_a_run_goes_on(folder: Path, tmp_path: Path) -> None:
    expected = load_file(folder / "numbers.safetensors")
    found = numbers_of(folder, shutil.copytree(folder / "run", tmp_path / "run"))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-3, err_msg=name)
    journal = read_journal(tmp_path / "run" / "metrics.jsonl")
    assert [row["step"] for row in journal if row["split"] == "train"] == [2, 4, 6, 8]


def test_an_option_that_was_added_since_has_its_usual_value(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    options = yaml.safe_load((folder / "run" / "recipe.yaml").read_text())
    del options["training"]["gradient_norms_every"]  # as if 0.1 had not had it
    recipe.write_text(yaml.safe_dump(options))
    (tmp_path / "data.json").write_text("{}")
    check_folder(tmp_path, RECIPE, resume=True)
    with pytest.raises(InputError, match=r"gradient_norms_every 0, now 5"):
        check_folder(
            tmp_path, RECIPE.changed({"training": {"gradient_norms_every": 5}}, ""), resume=True
        )


def test_a_calibration_is_that_of_its_model(folder: Path) -> None:
    found = SdFactor.read(folder / "run", load(folder / "run"))
    assert found is not None
    assert (found.factor, found.of("LA"), found.of("RV")) == (1.5, 2.5, 1.5)
    assert (found.members, found.hearts_fitted) == (8, ("phantom03",))


def test_scores_are_compared_as_they_were(folder: Path, tmp_path: Path) -> None:
    found = compare_scores(folder / "scores-a", folder / "scores-b", tmp_path / "out")
    stored = json.loads((folder / "comparison" / "compare.json").read_text())
    assert found["mean"] == stored["mean"]
    assert found["hearts"] == stored["hearts"]


def test_a_reconstruction_is_known_as_one(folder: Path) -> None:
    assert guessed_in(folder / "heart").is_result


@pytest.mark.parametrize("name", KINDS)
def test_info_describes_each(folder: Path, name: str) -> None:
    found = describe(folder / name)
    assert found["kind"] == KINDS[name]
    assert found["version"].startswith(f"{folder.name}.")
