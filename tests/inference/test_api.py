"""What ``from vecsetx import …`` offers."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vecsetx
from vecsetx import encode, load, surfaces
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError


@pytest.fixture
def run(trained_run: Path) -> Path:
    return trained_run


def test_from_a_file_to_meshes(run: Path, dataset: DataSet) -> None:
    model = load(run)
    field = encode(model, dataset.hearts[0].source)
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


def test_refining_is_told_and_brings_the_heart_nearer(run: Path, dataset: DataSet) -> None:
    model = load(run)
    refined = encode(model, dataset.hearts[0].source, refine=20)
    assert refined.refinement is not None
    assert refined.refinement.loss_after < refined.refinement.loss_before
    assert encode(model, dataset.hearts[0].source).refinement is None


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
