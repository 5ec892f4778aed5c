"""What ``from vecsetx import …`` offers."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.command_line import run as command
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

import vecsetx
from vecsetx import encode, labels, load, save, surfaces
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.inference.doubts import WHOLE_ONLY
from vecsetx.inference.encode import REFINE_STEPS
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.model import built_in
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface


@pytest.fixture
def run(trained_run: Path) -> Path:
    return trained_run


def test_from_a_file_to_meshes(run: Path, dataset: DataSet) -> None:
    model = load(run)
    field = encode(model, dataset.hearts[0].source, refine=0)
    inside = field.distances_mm(np.zeros((1, 3), np.float32))
    assert inside.shape == (1, 10)
    found = surfaces(field, resolution=40)
    assert found
    for surface in found.values():
        mesh = surface.to_trimesh()
        assert mesh.area == pytest.approx(surface.area_mm2, rel=1e-5)
        polydata = pytest.importorskip("pyvista") and surface.to_pyvista()
        assert polydata.area == pytest.approx(surface.area_mm2, rel=1e-4)
        np.testing.assert_array_equal(polydata.points, surface.vertices_mm)


def test_whole_hearts_are_refined_and_others_only_if_asked(run: Path, dataset: DataSet) -> None:
    model, source = load(run), dataset.hearts[0].source
    gained = encode(model, source).refinement
    assert gained is not None
    assert 0 < gained.steps <= REFINE_STEPS
    assert gained.loss_after < gained.loss_before
    assert gained.error_mm_after < gained.error_mm_before
    # Fewer steps start from the same: they are judged at the same points.
    one = encode(model, source, refine=1).refinement
    assert one is not None
    assert (one.loss_before, one.error_mm_before) == (gained.loss_before, gained.error_mm_before)
    assert encode(model, source, hide=["LA"], refine=1).refinement is not None
    assert encode(model, source, hide=["LA"]).refinement is None
    assert encode(model, source, refine=0).refinement is None


def test_a_folder_of_several_hearts_is_refused(run: Path, dataset: DataSet) -> None:
    with pytest.raises(InputError, match=r"contains 4 hearts \(phantom00, .*name one"):
        encode(load(run), Path(dataset.hearts[0].source).parent)


def test_nothing_heavy_is_imported_before_it_is_asked_for() -> None:
    code = "import sys, vecsetx; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(vecsetx.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'decode'"):
        _ = vecsetx.decode


# What the command line does, too

OPTIONS = {
    "plain": ({}, {}, ""),
    "completed": (
        {"hide": ["LA", "pv"], "keep_observed": True, "ensemble": 2, "seed": 3},
        {"resolution_mm": 4.0, "faces": 2000},
        "--hide LA,PV --keep-observed --ensemble 2 --seed 3 --resolution-mm 4 --faces 2000",
    ),
    "closed": (
        {"points": 300, "latents": 40, "refine": 3},
        {"kind": "closed", "space": "ras", "extension": "ply"},
        "--points 300 --latents 40 --refine 3 --surfaces closed --space ras --format ply",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_saved_files_are_those_of_the_command(
    name: str, run: Path, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_heart, of_files, words = OPTIONS[name]
    source = dataset.hearts[0].source
    if "resolution_mm" not in of_files:
        of_files = {"resolution": 32} | of_files
        words = f"{words} --resolution 32"
    save(encode(load(run), source, **of_heart), tmp_path / "saved", **of_files)
    given = ("reconstruct", source, "--model", run, "--out", tmp_path / "made", "--no-page")
    assert command(*given, *words.split(), monkeypatch=monkeypatch) == 0
    saved, made = (
        {file.name: file.read_bytes() for file in (tmp_path / folder).glob("[!.]*")}
        for folder in ("saved", "made")
    )
    del made["summary.json"], made["manifest.json"]
    assert saved.keys() == made.keys()
    assert [name for name in saved if saved[name] != made[name]] == []


def test_a_label_map_is_on_the_input_s_grid_or_on_another(
    run: Path, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, other = (Path(heart.source) for heart in dataset.hearts[:2])
    heart = encode(load(run), source, refine=0)
    words = ("reconstruct", source, "--model", run, "--out", tmp_path, "--resolution", 32)
    assert command(*words, "--refine", 0, "--no-page", monkeypatch=monkeypatch) == 0
    made = read_label_map(tmp_path / "labels.nii.gz")
    found = labels(heart, resolution=32)
    np.testing.assert_array_equal(found.labels, made.labels)
    np.testing.assert_array_equal(found.affine, made.affine)
    on_other = labels(heart, like=other, resolution=32)
    np.testing.assert_array_equal(on_other.affine, read_label_map(other).affine)
    monkeypatch.setattr(type(heart), "meshes", None)  # an image that is missing is noticed first
    with pytest.raises(InputError, match=r"none\.nii\.gz"):
        labels(heart, like=tmp_path / "none.nii.gz")
    with pytest.raises(InputError, match=r"none\.nii\.gz"):
        save(heart, tmp_path / "saved", like=tmp_path / "none.nii.gz")


def test_a_grid_beside_the_heart_is_refused(run: Path, dataset: DataSet, tmp_path: Path) -> None:
    source = Path(dataset.hearts[0].source)
    image = nib.load(source)
    away = image.affine.copy()
    away[:3, 3] += 5000
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), away), tmp_path / "away.nii.gz")
    heart = encode(load(run), source, refine=0)
    with pytest.raises(InputError, match="no voxel of the grid given by --like lies in the heart"):
        labels(heart, like=tmp_path / "away.nii.gz", resolution=32)


def test_meshes_lie_over_the_command_s_files_in_the_space_that_is_asked_for(
    run: Path, dataset: DataSet, tmp_path: Path
) -> None:
    pytest.importorskip("pyvista")
    heart = encode(load(run), dataset.hearts[0].source, hide=["LA"], ensemble=2)
    found = surfaces(heart, resolution=32)
    save(heart, tmp_path, resolution=32)
    for name, surface in found.items():
        polydata = polydata_of(tmp_path / f"{name}.vtp")
        points = vtk_to_numpy(polydata.GetPoints().GetData())
        lps = surface.to_pyvista(space="lps")
        np.testing.assert_array_equal(lps.points, points)
        np.testing.assert_array_equal(surface.to_trimesh(space="lps").vertices, points)
        np.testing.assert_array_equal(surface.to_trimesh().vertices, points * [-1, -1, 1])
        for key in ("observed", "sd_mm"):
            array = vtk_to_numpy(polydata.GetPointData().GetArray(key))
            np.testing.assert_array_equal(lps.point_data[key], array)
        assert surface.observed.all() == (name != "LA")
    with pytest.raises(InputError, match="unknown space 'xyz'; use lps or ras"):
        surface.to_trimesh(space="xyz")


def polydata_of(path: Path):
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutput()


def test_options_that_do_not_fit_are_refused(run: Path, dataset: DataSet, tmp_path: Path) -> None:
    model, source = load(run), dataset.hearts[0].source
    with pytest.raises(InputError, match="unknown structure 'coronry'"):
        encode(model, source, hide=["coronry"])
    with pytest.raises(InputError, match="exclude each other"):
        encode(model, source, recycle=1, ensemble=2)
    samples = dataset.folder / dataset.hearts[0].file
    with pytest.raises(InputError, match="observed surfaces cannot be kept"):
        encode(model, samples, keep_observed=True)
    with pytest.raises(InputError, match="unknown mesh format 'vtk'; did you mean vtp\\?"):
        save(encode(model, source, refine=0), tmp_path / "saved", resolution=16, extension="vtk")
    assert not (tmp_path / "saved").exists()


def test_a_heart_without_any_surface_is_not_written(
    run: Path, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = encode(load(run), dataset.hearts[0].source, refine=0)
    nothing = replace(heart.meshes(MeshOptions(16)), surfaces={}, interfaces=None)
    monkeypatch.setattr(Heart, "meshes", lambda heart, options: nothing)
    with pytest.raises(InputError, match="none of the structures was reconstructed; look at the"):
        save(heart, tmp_path / "saved", resolution=16)
    assert not (tmp_path / "saved").exists()


def test_without_pyvista_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvista", None)
    surface = Surface(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]))
    with pytest.raises(InputError, match=r"to_pyvista needs PyVista \(.*\): pip install pyvista"):
        surface.to_pyvista()


def test_the_readme_s_snippet_runs_as_printed(
    run: Path, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    pyvista = pytest.importorskip("pyvista")
    readme = Path(__file__).parents[2] / "README.md"
    (snippet,) = re.findall(r"```python\n(.*?)```", readme.read_text("utf-8"), re.DOTALL)
    (tmp_path / "run").symlink_to(run)
    monkeypatch.setattr(built_in, "_FOLDER", run / "model")
    shutil.copy(dataset.hearts[0].source, tmp_path / "patient.nii.gz")
    monkeypatch.chdir(tmp_path)
    shown, uploaded = [], []
    # At the default resolution, specks of the label map take half of the test's time.
    monkeypatch.setattr(vecsetx, "labels", partial(labels, resolution=64), raising=False)
    monkeypatch.setattr(pyvista.PolyData, "plot", lambda mesh: shown.append(mesh), raising=False)
    monkeypatch.setattr(
        TrainedModel, "push_to_hub", lambda _, repository: uploaded.append(repository)
    )
    exec(compile(snippet, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(shown) == sum(line.endswith(" ml") for line in lines) > 5
    # The model was trained on whole hearts, so the LA, which was hidden, is doubtful.
    (reasons,) = (line for line in lines if line.startswith("LA is doubtful: "))
    assert WHOLE_ONLY in reasons
    assert uploaded == ["owner/name"]
    assert (tmp_path / "patient" / "labels.nii.gz").exists()
