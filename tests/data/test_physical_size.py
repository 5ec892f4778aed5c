"""Scans and meshes in a wrong unit stop with the right one; those that say it are read."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh
from support.command_line import run
from support.hearts import write_small_phantoms
from support.here import work_here
from support.masks import write_masks

from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands import prepare as preparing
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import read_label_map
from vecsetx.geometry.heart_geometry import Geometry

DEFAULT = label_set("default")
NAMES = DEFAULT.structures


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return read_label_map(write_small_phantoms(tmp_path_factory.mktemp("phantom"), 1)[0])


def save(path, label_map, factor, units):
    """Write the map with all lengths multiplied, and the unit that the header gives."""
    affine = label_map.affine.copy()
    affine[:3] *= factor
    image = nib.Nifti1Image(label_map.labels, affine)
    image.header.set_xyzt_units(units)
    nib.save(image, path)
    return path


def read(path):
    (heart,) = find_hearts([path], DEFAULT).values()
    return heart.segmentation(NAMES).label_map


@pytest.mark.parametrize(
    ("factor", "unit", "spacing"), [(1e3, "um", "2400"), (0.1, "cm", "0.24"), (1e-3, "m", "0.0024")]
)
def test_a_nifti_whose_unit_is_wrong(phantom, tmp_path, factor, unit, spacing):
    path = save(tmp_path / "a.nii.gz", phantom, factor, "mm")
    pattern = (
        rf"a\.nii\.gz: no heart has its size, .* ml; check the header's spacing of {spacing} × "
        rf".* mm, which may be in {unit}: correct it to 2\.4 × 2\.4 × 2\.4 mm, or the unit that "
        r"the header says$"
    )
    with pytest.raises(InputError, match=pattern):
        read(path)


@pytest.mark.parametrize(("factor", "unit"), [(1e3, "micron"), (1.0, "mm"), (1e-3, "meter")])
def test_a_nifti_that_says_its_unit(phantom, tmp_path, factor, unit):
    found = read(save(tmp_path / "a.nii.gz", phantom, factor, unit))
    np.testing.assert_allclose(found.affine, phantom.affine, rtol=1e-5, atol=1e-4)
    assert found.labels.tolist() == phantom.labels.tolist()


def test_masks_whose_unit_is_wrong(phantom, tmp_path):
    masks = {name: phantom.labels == DEFAULT.id_of(name) for name in ("LV", "RV", "LA")}
    for factor, unit in ((1000, "um"), (0.1, "cm")):
        (tmp_path / unit).mkdir()
        affine = phantom.affine * factor
        write_masks(tmp_path / unit, affine, **masks)
        with pytest.raises(InputError, match=rf"{unit}: no heart has its size.*in {unit}: corr"):
            read(tmp_path / unit)


def test_voxels_that_no_scanner_has(phantom, tmp_path):
    affine = phantom.affine @ np.diag([1, 1, 1e-2, 1.0])
    affine[:3, :2] *= 10
    nib.save(nib.Nifti1Image(phantom.labels, affine), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii\.gz: a voxel measures 0\.02 to 20 mm"):
        read(tmp_path / "a.nii.gz")


def test_points_in_another_unit(phantom, tmp_path):
    closed = Geometry.of_label_map(phantom, len(NAMES)).closed
    rows = [
        f"{x / 1000},{y / 1000},{z / 1000},{name}"
        for name, (vertices, _) in zip(NAMES, closed, strict=True)
        for x, y, z in vertices[::50].tolist()
    ]
    path = tmp_path / "a.csv"
    path.write_text("# SPACE=RAS\nx,y,z,structure\n" + "\n".join(rows))
    (heart,) = find_hearts([path]).values()
    with pytest.raises(InputError, match=r"a\.csv: no heart has its size.*give --units m \("):
        heart.read(NAMES)
    (heart,) = find_hearts([path], units="m").values()
    true_mm = np.concatenate([vertices[::50] for vertices, _ in closed])
    np.testing.assert_allclose(heart.read(NAMES).points_mm, true_mm, atol=1e-6)


def test_prepare_in_metres(phantom, tmp_path: Path, monkeypatch, capsys):
    """Refused without a file; read with ``--units m``, also from the data set."""
    work_here(monkeypatch, preparing)
    closed = Geometry.of_label_map(phantom, len(NAMES)).closed
    chambers = ("LA", "LV", "RA", "RV")
    true = {name: trimesh.Trimesh(*closed[NAMES.index(name)], process=False) for name in chambers}
    (tmp_path / "p").mkdir()
    for name, mesh in true.items():
        mesh.copy().apply_scale(1e-3).export(tmp_path / "p" / f"{name}.stl")
    words = ["prepare", tmp_path / "p", "--space", "ras", "--points", 300, "--labels", "default"]
    assert run(*words, "--out", tmp_path / "none", monkeypatch=monkeypatch) == 2
    assert "give --units m (" in " ".join(capsys.readouterr().err.split())
    assert [file for file in (tmp_path / "none").rglob("*") if file.is_file()] == []
    words += ["--out", tmp_path / "data", "--units", "m"]
    assert run(*words, monkeypatch=monkeypatch) == 0
    dataset = DataSet.read(tmp_path / "data")
    (entry,) = dataset.hearts
    assert entry.units == "m"
    again = source_of(dataset, entry).segmentation(chambers)
    volumes_ml = dataset.open(entry).info.volumes_ml
    for name, (vertices, faces) in zip(chambers, again.closed, strict=True):
        assert volumes_ml[name] == pytest.approx(true[name].volume / 1000, rel=0.02)
        found_mm = trimesh.Trimesh(vertices, faces, process=False).center_mass
        assert np.linalg.norm(found_mm - true[name].center_mass) < 0.5


BROKEN = {
    "no volume": (
        lambda v, f: (v * [1, 1, 0], f),
        [],
        r"LV\.stl: the surface is flat and encloses no",
    ),
    "inward": (
        lambda v, f: (v, f[:, ::-1]),
        [],
        r"LV\.stl: all faces point inwards, but those",
    ),
    "inch": (lambda v, f: (v, f), ["--units", "inch"], "unknown value 'inch'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_nothing_is_written(phantom, tmp_path, monkeypatch, capsys, case):
    work_here(monkeypatch, preparing)
    spoil, options, reason = BROKEN[case]
    closed = Geometry.of_label_map(phantom, len(NAMES)).closed
    (tmp_path / "p").mkdir()
    for name in ("LA", "LV"):
        mesh = closed[NAMES.index(name)]
        mesh = spoil(*mesh) if name == "LV" else mesh
        trimesh.Trimesh(*mesh, process=False).export(tmp_path / "p" / f"{name}.stl")
    words = ["prepare", tmp_path / "p", "--out", tmp_path / "data", *options]
    assert run(*words, monkeypatch=monkeypatch) == 2
    assert re.search(reason, " ".join(capsys.readouterr().err.split()))
    assert [file for file in (tmp_path / "data").rglob("*") if file.is_file()] == []
