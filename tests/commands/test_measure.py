"""``vecsetx measure``: files in, a table out."""

import csv
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.shared import made_once
from typer.testing import CliRunner

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom.phantom_heart import PhantomHeart
from vecsetx.cli import app
from vecsetx.cohort import measuring
from vecsetx.commands.info import describe
from vecsetx.commands.measure import measure
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.measures.heart_measures import in_order


@pytest.fixture(scope="module")
def labels() -> Path:
    """A folder of two phantoms: one whole, one cut through its ventricles."""

    def make(folder: Path) -> None:
        (folder / "labels").mkdir(parents=True)
        heart = PhantomHeart.random(np.random.default_rng(5)).voxelize(88, 1.6)
        write_label_map(heart, folder / "labels" / "whole.nii.gz")
        low = LabelMap(heart.labels[:, :, 34:], heart.affine.copy())
        low.affine[:3, 3] = heart.to_mm(np.array([0, 0, 34]))
        write_label_map(low, folder / "labels" / "cut.nii.gz")

    return made_once("measured-hearts", make) / "labels"


@pytest.fixture(scope="module")
def found(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder with the numbers of both, and what was printed."""
    out = tmp_path_factory.mktemp("measured") / "out"
    result = CliRunner().invoke(app, ["measure", str(labels), "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out, result.output


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "measures.csv").open() as file:
        return {row["heart"]: row for row in csv.DictReader(file)}


def test_both_files_hold_the_same_numbers(found: tuple[Path, str]) -> None:
    out, _ = found
    table, content = rows(out), json.loads((out / "measures.json").read_text())
    assert list(table) == list(content["hearts"]) == ["cut", "whole"]
    described = describe(out)
    assert (described["kind"], described["size"]["hearts"]) == ("measures", 2)
    assert described["next"] == f"open {out / 'measures.csv'} in a spreadsheet"
    for name, heart in content["hearts"].items():
        for column, number in heart["measures"].items():
            cell = table[name][column]
            assert bool(cell) == (number["value"] is not None) == (number["reason"] == "")
            if cell:
                assert float(cell) == pytest.approx(number["value"], rel=1e-5)
        others = table[name].keys() - heart["measures"].keys() - {"heart"}
        assert all(table[name][column] == "" for column in others)
    columns = list(table["whole"])[1:]
    assert columns == in_order(columns)
    assert all(column.endswith(("_ml", "_mm2", "_mm", "_g", "_sphericity")) for column in columns)


def test_a_phantom_has_the_numbers_that_it_was_made_with(found: tuple[Path, str]) -> None:
    """Volumes by voxels of its formulas, much finer; walls and valves as hearts have them."""
    table = rows(found[0])["whole"]
    heart = PhantomHeart.random(np.random.default_rng(5))
    fine = heart.voxelize(220, 0.64)
    for label, name in enumerate(("Myocardium", "LA", "LV", "RA", "RV"), start=1):
        true_ml = (fine.labels == label).sum() * fine.voxel_volume_mm3 / 1000
        assert float(table[f"{name}_volume_ml"]) == pytest.approx(true_ml, rel=0.01)
    size = heart.parameters.size
    assert float(table["Myocardium_thickness_mm"]) == pytest.approx(
        heart.parameters.wall_mm * size, rel=0.15
    )
    for valve in ("mitral", "tricuspid", "aortic", "pulmonary"):
        assert 150 < float(table[f"{valve}_area_mm2"]) < 1500
    assert float(table["mitral_center_s_mm"]) < float(table["pulmonary_center_s_mm"])
    assert table["Myocardium_mass_g"] != ""


def test_what_is_cut_is_empty_and_the_reason_is_told(found: tuple[Path, str]) -> None:
    out, said = found
    table, content = rows(out)["cut"], json.loads((out / "measures.json").read_text())
    for column in ("LV_volume_ml", "Myocardium_mass_g", "LV_base_to_apex_mm"):
        assert table[column] == ""
        assert "edge of the scan" in content["hearts"]["cut"]["measures"][column]["reason"]
    assert float(table["LA_volume_ml"]) > 0
    assert "LV: it reaches the edge of the scan" in " ".join(said.split())
    assert "Mean of 2 hearts" in said


def test_numbers_do_not_depend_on_axes_nor_on_the_kind_of_file(
    found: tuple[Path, str], labels: Path, tmp_path: Path
) -> None:
    """The same heart with its axes permuted and flipped, and as meshes."""
    heart = read_label_map(labels / "whole.nii.gz")
    flipped = LabelMap(np.ascontiguousarray(heart.labels[::-1].transpose(2, 0, 1)), np.eye(4))
    turn = np.zeros((4, 4))
    turn[[0, 1, 2, 3], [1, 2, 0, 3]] = 1, 1, 1, 1
    turn[0] = [0, -1, 0, heart.shape[0] - 1]
    flipped = LabelMap(flipped.labels, heart.affine @ turn)
    write_label_map(flipped, tmp_path / "flipped.nii.gz")
    structures = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA", "LAA", "Coronary", "PV")
    (tmp_path / "meshes").mkdir()
    for name, (vertices_mm, faces) in zip(
        structures, Geometry.of_label_map(heart, 10).closed, strict=True
    ):
        if len(faces):
            mesh = trimesh.Trimesh(vertices_mm, faces, process=False)
            mesh.export(tmp_path / "meshes" / f"{name}.ply")
    measure([tmp_path / "flipped.nii.gz"], tmp_path / "a")
    measure([tmp_path / "meshes"], tmp_path / "b", space="ras")
    (turned,), (meshes,) = rows(tmp_path / "a").values(), rows(tmp_path / "b").values()
    for column, cell in rows(found[0])["whole"].items():
        if column == "heart" or column.startswith(("Aorta", "PA", "PV", "Coronary")):
            continue
        for other in (turned, meshes):
            assert float(other[column]) == pytest.approx(float(cell), rel=0.02, abs=0.5), column


def test_one_bad_heart_does_not_stop_the_others_and_is_tried_again(
    labels: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "labels"
    shutil.copytree(labels, folder)
    (folder / "bad.nii.gz").write_bytes(b"no image")
    result = CliRunner().invoke(app, ["measure", str(folder), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "1 heart failed" in result.output
    assert list(rows(tmp_path / "out")) == ["cut", "whole"]
    assert list(json.loads((tmp_path / "out" / "measures.json").read_text())["failed"]) == ["bad"]
    shutil.copy(labels / "cut.nii.gz", folder / "bad.nii.gz")
    again = CliRunner().invoke(app, ["measure", str(folder), "--out", str(tmp_path / "out")])
    assert again.exit_code == 0, again.output
    assert "2 of 3 hearts are done already" in again.output
    assert list(rows(tmp_path / "out")) == ["bad", "cut", "whole"]


def test_points_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("x,y,z,structure\n" + "".join(f"{i},{i % 7},{i % 5},LV\n" for i in range(99)))
    with pytest.raises(InputError, match="this needs a label map, masks or closed meshes"):
        measure([points], tmp_path / "out")
    with pytest.raises(InputError, match="no such file"):
        measure([tmp_path / "gone"], tmp_path / "out")
    assert not (tmp_path / "out" / "measures.csv").exists()


def test_a_record_holds_what_was_measured() -> None:
    measures = {
        "LV_volume_ml": measuring.Measured(1.5),
        "LV_long_axis_mm": measuring.Measured(math.nan, "cut"),
    }
    heart = measuring.MeasuredHeart("default", measures, ("a remark",))
    again = measuring.MeasuredHeart.from_dict(json.loads(json.dumps(heart.to_dict())))
    assert again.to_dict() == heart.to_dict()
    assert math.isnan(again.measures["LV_long_axis_mm"].value)
