"""``vecsetx shape fit`` and ``vecsetx shape sample``: a cohort in, new hearts out."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.shape_space import fitted_space, run

from vecsetx import __version__, load_shape_space
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cohort.generating import NewHeartFiles, faults_of
from vecsetx.commands.info import describe
from vecsetx.commands.shape import sample as sampling
from vecsetx.commands.shape.fit import fit_shape_space
from vecsetx.commands.shape.interpolate import interpolate_hearts
from vecsetx.commands.shape.modes import make_modes, parse_multiples
from vecsetx.commands.shape.sample import parse_volumes, sample_hearts
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.model.built_in import built_in_model
from vecsetx.population.drawing import VolumeRange
from vecsetx.population.heart_tables import label_map_of
from vecsetx.population.space_file import SavedSpace
from vecsetx.population.template_heart import template_heart


@pytest.fixture(scope="module")
def space(dataset: DataSet) -> Path:
    """The space of the data set's training hearts; tests do not change it."""
    return fitted_space(dataset)


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
        5,
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
    assert f"{len(hearts)} hearts: with fewer than 20, modes, and how unusual hearts are" in said
    assert f"Modes of {len(hearts)} hearts" in said
    assert "hold 90% of the variance" in said
    assert "next: vecsetx shape sample" in said


def test_what_is_encoded_already_is_not_encoded_again(
    space: Path, dataset: DataSet, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(space, again)
    said = run("shape", "fit", dataset.folder, "--out", again, "--no-page")
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
    found = sample_hearts(space, built_in_model(), more, 3, files=NewHeartFiles(spacing_mm=5.0))
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
    sample_hearts(
        space,
        built_in_model(),
        out,
        1,
        3,
        {"LV": VolumeRange(wanted, wanted)},
        NewHeartFiles(spacing_mm=3.0),
    )
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
    "text", ["LV", "LV=", "LV=a", "LV=-3", "LV=0", "LV=nan", "LV=1:inf", "LV=0:0"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"give a structure and ml, as LV=120:180"):
        parse_volumes([text])
    with pytest.raises(InputError, match="ends below its beginning; give the smaller"):
        parse_volumes(["LV=2:1"])
    with pytest.raises(InputError, match="given twice"):
        parse_volumes(["LV=1", "LV=2"])


def test_a_space_of_another_model_is_refused(
    space: Path, trained_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="was fitted with another model"):
        sample_hearts(space, trained_run, tmp_path / "out", 1)


def test_too_few_hearts_are_refused(dataset: DataSet, trained_run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 heart in split val; a shape space needs at least 3"):
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


def test_modes_are_the_mean_heart_and_what_lies_to_both_sides(space: Path, tmp_path: Path) -> None:
    out = tmp_path / "modes"
    words = ("--modes", 1, "--sd", "2", "--spacing-mm", 5, "--write", "both", "--format", "ply")
    run("shape", "modes", space, *words, "--out", out)
    names = ["mean", "mode01_minus2sd", "mode01_plus2sd"]
    rows, content = table(out), json.loads((out / "cohort.json").read_text())
    assert list(rows) == names
    for name, along in zip(names, (0, -2, 2), strict=True):
        coordinates = content["hearts"][name]["coordinates"]
        np.testing.assert_allclose(coordinates, [along, 0], atol=1e-3)
        # Mesh and label map are the same heart in the same place.
        mesh = trimesh.load(out / name / "LV.ply")
        label_map = read_label_map(out / f"{name}.nii.gz")
        voxels_mm = label_map.to_mm(np.argwhere(label_map.labels == 3)) * [-1, -1, 1]
        assert np.linalg.norm(voxels_mm.mean(axis=0) - mesh.centroid) < 4
        assert float(rows[name]["LV_volume_ml"]) > 0
    with pytest.raises(InputError, match="--modes 3: the space has 2 modes; ask for at most 2"):
        make_modes(space, built_in_model(), out, 3, [1.0], NewHeartFiles())


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "1,11", "nan", "1,,2"])
def test_multiples_are_numbers_of_standard_deviations(text: str) -> None:
    assert parse_multiples("3,1,2.5,1") == [1.0, 2.5, 3.0]
    with pytest.raises(InputError, match="give numbers above 0 and up to 10"):
        parse_multiples(text)


def test_options_of_meshes_are_refused_where_none_are_written() -> None:
    for files in (NewHeartFiles(extension="stl"), NewHeartFiles(surfaces="closed")):
        with pytest.raises(InputError, match="is about meshes, but only label maps are written"):
            files.check()
        replace(files, write="both").check()


def test_the_way_between_hearts_begins_and_ends_with_them(
    space: Path, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a heart of the cohort to one in a file."""
    first, other = dataset.of_split("train")[:2]
    file = Path(dataset.open_file(other.file).info.source)
    out = tmp_path / "between"
    words = ("--steps", 3, "--spacing-mm", 5, "--write", "labels")
    run("shape", "interpolate", space, first.name, file, *words, "--out", out)
    rows = table(out)
    assert list(rows) == ["step000", "step001", "step002"]
    assert rows["step000"]["nearest_heart"] == first.name
    assert rows["step002"]["nearest_heart"] == other.name
    assert float(rows["step000"]["nearest_mm"]) < float(rows["step001"]["nearest_mm"])
    ends = space, built_in_model(), first.name
    with pytest.raises(InputError, match="nobody: is no file, and no heart of the cohort"):
        interpolate_hearts(*ends, "nobody", out, 3, NewHeartFiles())
    (tmp_path / first.name).mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is a heart of the cohort and a file"):
        interpolate_hearts(*ends, first.name, out, 3, NewHeartFiles())


def test_hearts_are_placed_among_those_of_the_cohort(
    space: Path, dataset: DataSet, tmp_path: Path
) -> None:
    """A fitted heart, by its samples, has its own coordinates; one bad file stops nothing."""
    fitted = dataset.of_split("train")[0]
    samples, bad = dataset.folder / fitted.file, tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no image")
    out = tmp_path / "placed"
    said = run("shape", "project", space, samples, bad, "--out", out, code=1)
    assert "bad" in said
    assert "the most unusual first" in said
    assert f"shares of a cohort of {len(dataset.of_split('train'))} hearts say little" in said
    assert f"next: vecsetx info {out}" in said
    content = json.loads((out / "placement.json").read_text())
    assert list(content["failed"]) == ["bad"]
    (found,) = content["hearts"].values()
    saved = SavedSpace.read(space)
    own = saved.cohort.coordinates[saved.cohort.names.index(fitted.name)]
    np.testing.assert_allclose(found["placement"]["coordinates"], own, atol=1e-3)
    assert found["placement"]["nearest"][0] == fitted.name
    assert found["placement"]["nearest_mm"][0] == pytest.approx(0, abs=1e-3)
    assert found["placement"]["residual_mm"] < 0.1
    with (out / "placement.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["mode01_sd"]) == pytest.approx(own[0], abs=1e-3)
    assert row["nearest_heart"] == fitted.name
    described = describe(out)
    assert (described["kind"], described["size"]) == ("placed hearts", {"hearts": 1, "failed": 1})


def test_neighbours_that_come_apart_are_a_fault(space: Path) -> None:
    """The right atrium, moved 16 mm away from the heart: it touches nothing any more."""
    loaded = load_shape_space(space)
    whole = label_map_of(loaded.mean().encoded.field, 3.0)
    before = set(faults_of(whole, loaded))
    label = loaded.trained.structures.index("RA") + 1
    apart = np.pad(whole.labels * (whole.labels != label), ((0, 30), (0, 0), (0, 0)))
    atrium = np.pad(whole.labels == label, ((30, 0), (0, 0), (0, 0)))
    apart[atrium & (apart == 0)] = label
    found = set(faults_of(LabelMap(apart, whole.affine), loaded)) - before
    assert "RA and RV do not touch; in the cohort they always do" in found
    assert all("RA" in fault for fault in found)
    empty = LabelMap(whole.labels * (whole.labels != label), whole.affine)
    assert set(faults_of(empty, loaded)) - before == {"no RA"}


def test_info_describes_spaces_and_their_hearts(
    space: Path, sampled: Path, dataset: DataSet, tmp_path: Path
) -> None:
    found, hearts = describe(space), len(dataset.of_split("train"))
    saved = SavedSpace.read(space)
    assert (found["kind"], found["version"]) == ("shape space", __version__)
    assert found["size"]["hearts"] == hearts == found["size"]["modes"] + 1
    assert found["structures"] == list(saved.structures)
    assert found["next"] == f"vecsetx shape sample {space} --out cohort/"
    found = describe(sampled)
    assert (found["kind"], found["size"]["hearts"]) == ("new hearts", 2)
    assert found["facts"].pop("command").startswith("vecsetx")  # of a manifest, which has its tests
    assert found["facts"] == {"space": str(space), "model": "built-in"}
    stopped = tmp_path / "stopped"
    shutil.copytree(sampled, stopped)
    content = json.loads((stopped / "cohort.json").read_text())
    assert content["finished"]
    (stopped / "cohort.json").write_text(json.dumps({**content, "finished": False}))
    assert describe(stopped)["facts"]["unfinished"].startswith("shape sample was stopped before")
    for name in ("space.json", "cohort.json", "placement.json", "measures.json"):
        damaged = tmp_path / name
        damaged.mkdir()
        for content in ("", "{", "[]", "7", "null", '{"hearts": 3, "provenance": []}'):
            (damaged / name).write_text(content)
            with pytest.raises(InputError):
                describe(damaged)


def test_a_folder_holds_new_hearts_of_one_choice(
    space: Path, sampled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed or other volumes would give other hearts of the same names beside them."""
    out = tmp_path / "out"
    shutil.copytree(sampled, out)
    files = NewHeartFiles(spacing_mm=5.0)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for seed, volumes, wanted, word in (
        (1, {}, files, "seed"),
        (0, {"LV": VolumeRange(100.0, 100.5)}, files, "volumes"),
        (0, {}, replace(files, write="both"), "files"),
    ):
        monkeypatch.setattr(sampling, "check_volumes", lambda *_: None)
        with pytest.raises(InputError, match=f"new hearts of another run, with other {word};"):
            sample_hearts(space, built_in_model(), out, 2, seed, volumes, wanted)
    with pytest.raises(InputError, match="with other command"):
        make_modes(space, built_in_model(), out, 1, [1.0], files)
    of_modes = tmp_path / "modes"
    of_modes.mkdir()
    content = json.loads((out / "cohort.json").read_text())
    kept = {k: v for k, v in content["provenance"].items() if k not in ("seed", "volumes")}
    modes = {**content, "provenance": {**kept, "command": "modes"}}
    (of_modes / "cohort.json").write_text(json.dumps(modes))
    with pytest.raises(InputError, match="with other command, seed, volumes;"):
        sample_hearts(space, built_in_model(), of_modes, 2, 0, {}, files)
    assert {path: path.read_bytes() for path in before} == before
    (out / "cohort.json").write_text("[]")
    with pytest.raises(InputError, match=r"cohort\.json: is damaged"):
        sample_hearts(space, built_in_model(), out, 2, 0, {}, files)
