"""``vecsetx shape fit`` and ``vecsetx shape sample``: a cohort in, new hearts out."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.shared import made_once
from typer.testing import CliRunner

from vecsetx.cli import app
from vecsetx.commands.shape_fit import fit_shape_space
from vecsetx.commands.shape_sample import parse_volumes, sample_hearts
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.model.built_in import built_in_model
from vecsetx.population.drawing import VolumeRange
from vecsetx.population.space_file import SavedSpace
from vecsetx.population.template_heart import template_heart


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def space(dataset: DataSet) -> Path:
    """The space of the data set's training hearts; tests do not change it."""

    def make(folder: Path) -> None:
        said = run("shape", "fit", dataset.folder, "--out", folder / "s")
        (folder / "said.txt").write_text(said)

    return made_once("shape-space", make) / "s"


@pytest.fixture(scope="module")
def sampled(space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two new hearts."""
    out = tmp_path_factory.mktemp("sampled") / "out"
    run(
        "shape",
        "sample",
        space,
        "--count",
        2,
        "--spacing-mm",
        3,
        "--out",
        out,
    )
    return out


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "cohort.csv").open() as file:
        return {row["heart"]: row for row in csv.DictReader(file)}


def test_the_space_is_that_of_the_cohort(space: Path, dataset: DataSet) -> None:
    saved = SavedSpace.read(space)
    hearts = dataset.of_split("train")
    assert saved.cohort.names == tuple(sorted(heart.name for heart in hearts))
    assert saved.space.modes.shape[0] == len(hearts) - 1
    infos = {heart.name: dataset.open_file(heart.file).info for heart in hearts}
    for name, volumes_ml in zip(saved.cohort.names, saved.cohort.volumes_ml, strict=True):
        for structure, ml in zip(saved.structures, volumes_ml, strict=True):
            assert np.isnan(ml) or ml == infos[name].volumes_ml[structure]
    said = (space.parent / "said.txt").read_text()
    assert f"Modes of {len(hearts)} hearts" in said
    assert "hold 90% of the variance" in said
    assert "next: vecsetx shape sample" in said


def test_what_is_encoded_already_is_not_encoded_again(
    space: Path, dataset: DataSet, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(space, again)
    said = run("shape", "fit", dataset.folder, "--out", again)
    count = len(dataset.of_split("train"))
    assert f"{count} of {count} hearts are done already" in said
    assert SavedSpace.read(again).sha256 == SavedSpace.read(space).sha256


def test_each_heart_follows_from_seed_and_number(
    sampled: Path, space: Path, tmp_path: Path
) -> None:
    """One more leaves the first ones as they are; so does a removed file. No two are the same."""
    more = tmp_path / "more"
    shutil.copytree(sampled, more)
    (more / "heart00001.nii.gz").unlink()
    found = sample_hearts(space, built_in_model(), more, 3, spacing_mm=3.0)
    assert list(found.hearts) == ["heart00001", "heart00002", "heart00003"]
    maps = [read_label_map(more / f"{name}.nii.gz").labels for name in found.hearts]
    first = read_label_map(sampled / "heart00001.nii.gz").labels
    np.testing.assert_array_equal(maps[0], first)
    assert len({tuple(made.coordinates) for made in found.hearts.values()}) == 3
    assert table(more)["heart00002"] == table(sampled)["heart00002"]


def test_files_say_what_the_hearts_are(sampled: Path, space: Path) -> None:
    rows, content = table(sampled), json.loads((sampled / "cohort.json").read_text())
    saved = SavedSpace.read(space)
    assert list(rows) == list(content["hearts"]) == ["heart00001", "heart00002"]
    assert content["provenance"]["seed"] == 0
    for name, row in rows.items():
        assert row["nearest_heart"] in saved.cohort.names
        assert float(row["nearest_mm"]) > 0
        assert float(row["LV_volume_ml"]) > 0
        assert len(content["hearts"][name]["coordinates"]) == len(saved.space.sd)
        assert row["faults"] == "; ".join(content["hearts"][name]["faults"])
    # No patient has these hearts, and the files say so.
    label_map = read_label_map(sampled / "heart00001.nii.gz")
    assert set(np.unique(label_map.labels)) <= set(range(11))
    said = run("inspect", sampled / "heart00001.nii.gz")
    assert "A reconstruction by vecsetx, not a segmentation" in said


def test_volumes_are_those_that_were_asked_for(space: Path, tmp_path: Path) -> None:
    saved = SavedSpace.read(space)
    of_lv = saved.cohort.volumes_ml[:, saved.structures.index("LV")]
    wanted = float(np.nanmedian(of_lv))
    out = tmp_path / "out"
    sample_hearts(space, built_in_model(), out, 1, 3, {"LV": VolumeRange(wanted, wanted)}, 2.4)
    label_map = read_label_map(out / "heart00001.nii.gz")
    ml = (label_map.labels == 3).sum() * label_map.voxel_volume_mm3 / 1000
    assert ml == pytest.approx(wanted, rel=0.02)
    low, high = np.nanmin(of_lv), np.nanmax(of_lv)
    with pytest.raises(InputError, match=f"span {low:.1f} to {high:.1f} ml"):
        sample_hearts(space, built_in_model(), out, 1, 3, {"LV": VolumeRange(5000.0, 5000.0)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("LV=120:180", VolumeRange(120.0, 180.0)), ("LV=90.5", VolumeRange(90.5, 90.5))],
)
def test_volumes_are_parsed(text: str, expected: VolumeRange) -> None:
    assert parse_volumes([text]) == {"LV": expected}


@pytest.mark.parametrize(
    "text", ["LV", "LV=", "LV=a", "LV=2:1", "LV=-3", "LV=0", "LV=nan", "LV=1:inf"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"give a structure and ml, as LV=120:180"):
        parse_volumes([text])
    with pytest.raises(InputError, match="given twice"):
        parse_volumes(["LV=1", "LV=2"])


def test_a_space_of_another_model_is_refused(
    space: Path, trained_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="was fitted with another model"):
        sample_hearts(space, trained_run, tmp_path / "out", 1)


def test_too_few_hearts_are_refused(dataset: DataSet, trained_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 hearts in split val; a shape space needs at least 3"):
        fit_shape_space(dataset.folder, trained_run, "run", tmp_path / "out", "val")


def test_the_template_is_whole_and_ordinary(dataset: DataSet) -> None:
    """A heart that is cut, or very large, is no template while another one is there."""
    infos = {heart.name: dataset.open_file(heart.file).info for heart in dataset.hearts}
    structures = dataset.structures
    chosen = template_heart(infos, structures)
    assert set(infos[chosen].structures) - set(infos[chosen].cut)
    cut = {
        name: replace(info, cut=info.structures[:3]) if name == chosen else info
        for name, info in infos.items()
    }
    assert template_heart(cut, structures) != chosen
