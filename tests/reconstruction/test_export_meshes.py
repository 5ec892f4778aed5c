"""A heart without symmetry under awkward affines, as other programs read what is written of it."""

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import trimesh
from support.analytic_fields import ASYMMETRIC, OBLIQUE, AnalyticField, ball, grid_about
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx.anatomy import sign
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import structure
from vecsetx.formats.label_maps import write_label_map
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.label_tables import write_color_table, write_label_descriptions
from vecsetx.reconstruction.mesh_export import write_interfaces, write_scene, write_surfaces
from vecsetx.reconstruction.octree import evaluate_dense, evaluate_exclusive
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surface_net import shared_interfaces
from vecsetx.reconstruction.surfaces import closed_surfaces, structure_surfaces

IDS = LabelSet("odd", {500: "LV", 7: "PA", 42: "LA"})
NAMES = ("PA", "LA", "LV")
TO_RAS = {"lps": np.array([-1, -1, 1]), "ras": np.array([1, 1, 1])}
AFFINES = {
    "oblique": OBLIQUE @ np.diag([0.8, 0.8, 1.5]),
    "oblique mirrored": OBLIQUE @ np.diag([0.8, -0.8, 1.5]),
    "flipped": np.diag([-0.7, -0.9, 1.2]),
    "axes swapped": np.array([[0.0, 0.0, 1.0], [0.9, 0.0, 0.0], [0.0, -1.2, 0.0]]),
}


def three() -> AnalyticField:
    """Unequal arms, a ball that only the left has, and a structure that is absent."""
    far = {"LV": ball((500, 0, 0), 9)}
    return AnalyticField({"PA": ASYMMETRIC, "LA": ball((-14, 9, 4), 6)} | far)


@pytest.fixture(params=AFFINES.values(), ids=AFFINES.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    return grid_about((6, 4, 2), request.param, 36)


def test_simpleitk_and_nibabel_see_every_voxel_where_it_is(grid: Grid, tmp_path: Path) -> None:
    field = three()
    write_label_map(rasterize(field, grid).to_label_set(IDS, NAMES), tmp_path / "labels.nii.gz")
    itk = sitk.ReadImage(str(tmp_path / "labels.nii.gz"))
    labels = sitk.GetArrayFromImage(itk).transpose(2, 1, 0)
    np.testing.assert_array_equal(labels, np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj))
    ids = np.array([0, 7, 42, 500])
    np.testing.assert_array_equal(labels, ids[sign.label_of(evaluate_dense(field, grid))])
    for index in ((0, 0, 0), (5, 1, 3), tuple(n - 1 for n in grid.shape)):
        lps = itk.TransformIndexToPhysicalPoint(tuple(map(int, index)))
        np.testing.assert_allclose(lps * TO_RAS["lps"], grid.to_mm(np.array(index)), atol=1e-3)
    left = np.argwhere(labels == 42)
    assert grid.to_mm(left)[:, 0].max() < -7.9
    assert len(left) * abs(np.linalg.det(grid.affine[:3, :3])) == pytest.approx(905, rel=0.03)


def vertices_of(path: Path) -> np.ndarray:
    mesh = trimesh.load_mesh(path)
    return np.asarray(mesh.vertices)


@pytest.mark.parametrize("space", ["lps", "ras"])
@pytest.mark.parametrize("extension", ["vtp", "stl", "ply", "obj", "glb"])
def test_every_mesh_lies_where_the_heart_lies(
    grid: Grid, extension: str, space: str, tmp_path: Path
) -> None:
    surfaces = closed_surfaces(three(), grid)
    if extension == "glb":
        write_scene(tmp_path / "heart.glb", surfaces, space)
        scene = trimesh.load_scene(tmp_path / "heart.glb")
        metres = np.asarray(scene.geometry["LA"].vertices)
        ras_mm = 1000 * metres[:, [0, 2, 1]] * [-1, 1, 1]  # x to the left, y up, z to the front
        ball_found = ras_mm * TO_RAS[space]
    else:
        write_surfaces(tmp_path, surfaces, NAMES, extension, space, IDS)
        assert not (tmp_path / f"LV.{extension}").exists()
        path = tmp_path / f"LA.{extension}"
        ball_found = read_vtp(path) if extension == "vtp" else vertices_of(path)
    off_mm = np.linalg.norm(ball_found * TO_RAS[space] - [-14, 9, 4], axis=1) - 6
    assert np.abs(off_mm).max() <= 0.1
    assert (ball_found * TO_RAS[space])[:, 0].max() < -7.9  # the left stays left


def read_vtp(path: Path) -> np.ndarray:
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    fields = reader.GetOutput().GetFieldData()
    assert fields.GetArray("Label").GetValue(0) == 42  # as in the label map
    return vtk_to_numpy(reader.GetOutput().GetPoints().GetData())


@pytest.mark.parametrize("space", ["lps", "ras"])
def test_slicer_finds_the_space_where_it_looks(space: str, tmp_path: Path) -> None:
    """Through the same readers: the first comment (OBJ), comments (PLY), the header (STL)."""
    surfaces = closed_surfaces(three(), grid_about((6, 4, 2), np.eye(3), 30))
    said = {}
    for extension, reader in (("stl", vtkSTLReader()), ("obj", vtkOBJReader())):
        write_surfaces(tmp_path, surfaces, NAMES, extension, space, IDS)
        reader.SetFileName(str(tmp_path / f"PA.{extension}"))
        reader.Update()
        said[extension] = reader.GetHeader() if extension == "stl" else reader.GetComment()
    write_surfaces(tmp_path, surfaces, NAMES, "ply", space, IDS)
    reader = vtkPLYReader()
    reader.SetFileName(str(tmp_path / "PA.ply"))
    reader.Update()
    comments = reader.GetComments()
    said["ply"] = " ".join(comments.GetValue(i) for i in range(comments.GetNumberOfValues()))
    other = {"lps": "RAS", "ras": "LPS"}[space]
    for words in said.values():
        assert f"SPACE={space.upper()}" in words
        assert f"SPACE={other}" not in words


def test_an_obj_brings_its_colour(tmp_path: Path) -> None:
    surfaces = closed_surfaces(three(), grid_about((6, 4, 2), np.eye(3), 30))
    write_surfaces(tmp_path, surfaces, NAMES, "obj")
    material = trimesh.load_mesh(tmp_path / "PA.obj").visual.material
    np.testing.assert_allclose(material.diffuse[:3], structure("PA").color, atol=1)


def test_tables_name_the_ids_of_the_label_map(tmp_path: Path) -> None:
    """Parsed as 3D Slicer (words) and ITK-SNAP (seven numbers and a quoted name) do."""
    write_color_table(tmp_path / "labels.ctbl", NAMES, IDS)
    write_label_descriptions(tmp_path / "labels.itksnap.txt", NAMES, IDS)
    slicer = {}
    for line in (tmp_path / "labels.ctbl").read_text().splitlines():
        if not line.startswith("#"):
            label_id, name, *color = line.split()
            slicer[int(label_id)] = (name, tuple(map(int, color)))
    assert slicer == {0: ("Background", (0, 0, 0, 0))} | {
        IDS.id_of(name): (name, (*structure(name).color, 255)) for name in NAMES
    }
    snap = {}
    for line in (tmp_path / "labels.itksnap.txt").read_text().splitlines():
        if not line.startswith("#"):
            form = r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+([01])\s+([01])\s+"(.*)"'
            label_id, red, green, blue, _, _, _, name = re.fullmatch(form, line).groups()
            snap[int(label_id)] = (name, (int(red), int(green), int(blue)))
    assert snap == {0: ("Clear Label", (0, 0, 0))} | {
        IDS.id_of(name): (structure(name).title, structure(name).color) for name in NAMES
    }


@pytest.mark.parametrize("space", ["lps", "ras"])
def test_pyvista_reads_the_shared_mesh(grid: Grid, space: str, tmp_path: Path) -> None:
    pyvista = pytest.importorskip("pyvista")
    interfaces = shared_interfaces(evaluate_exclusive(three(), grid))
    write_interfaces(tmp_path / "interfaces.vtp", interfaces, NAMES, IDS, space)
    mesh = pyvista.read(tmp_path / "interfaces.vtp")
    assert list(mesh.field_data["Structures"]) == list(NAMES)
    assert mesh.field_data["Ids"].tolist() == [7, 42, 500]
    assert list(mesh.field_data["SPACE"]) == [space.upper()]
    np.testing.assert_allclose(mesh.points * TO_RAS[space], interfaces.vertices_mm, atol=1e-3)
    sides = np.asarray(mesh.cell_data["Sides"])
    assert sorted(np.unique(sides)) == [0, 7, 42]
    first_of_la = np.flatnonzero(sides[:, 0] == 42)[0]
    assert tuple(mesh.cell_data["Color"][first_of_la]) == structure("LA").color
    assert set(structure_surfaces(interfaces, NAMES)) == {"PA", "LA"}
