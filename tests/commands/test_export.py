"""Files of surfaces, read back with other libraries."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree
from support.analytic_fields import (
    ASYMMETRIC,
    OBLIQUE,
    AnalyticField,
    any_of,
    ball,
    grid_about,
    heart,
)
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
from vtkmodules.vtkIOPLY import vtkPLYReader
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.mesh_export import (
    write_scene,
    write_surface,
    write_surfaces,
)
from vecsetx.reconstruction.octree import evaluate_exclusive
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.specks import find_specks
from vecsetx.reconstruction.summary import of_decimation, of_label_map, of_specks, of_surface
from vecsetx.reconstruction.surfaces import (
    Surface,
    field_surfaces,
)


def read_vtp(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return _read_vtk(vtkXMLPolyDataReader(), path)


def read_stl_vtk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return _read_vtk(vtkSTLReader(), path)


def read_ply_vtk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return _read_vtk(vtkPLYReader(), path)


def read_obj_vtk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return _read_vtk(vtkOBJReader(), path)


def read_trimesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.load_mesh(path)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def _read_vtk(reader: object, path: Path) -> tuple[np.ndarray, np.ndarray]:
    reader.SetFileName(str(path))
    reader.Update()
    output = reader.GetOutput()
    faces = vtk_to_numpy(output.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    return vtk_to_numpy(output.GetPoints().GetData()), faces


def glb_header(path: Path) -> dict[str, Any]:
    """The JSON chunk of a file, found as the specification of glTF 2.0 says."""
    content = path.read_bytes()
    magic, version, length, chunk_length, chunk_type = struct.unpack_from("<4sIII4s", content)
    assert (magic, version, length, chunk_type) == (b"glTF", 2, len(content), b"JSON")
    return json.loads(content[20 : 20 + chunk_length])


def to_patient_mm(path: Path, vertices: np.ndarray) -> np.ndarray:
    """Move vertices of a scene by the transform that the scene itself gives."""
    to_mm = np.array(glb_header(path)["asset"]["extras"]["to_patient_mm"])
    np.testing.assert_array_equal(to_mm[3], [0, 0, 0, 1])
    return vertices @ to_mm[:3, :3].T + to_mm[:3, 3]


READERS = [
    ("vtp", read_vtp),
    ("stl", read_stl_vtk),
    ("stl", read_trimesh),
    ("ply", read_ply_vtk),
    ("ply", read_trimesh),
    ("obj", read_obj_vtk),
    ("obj", read_trimesh),
    ("glb", read_trimesh),
]
TO_RAS = {"lps": np.array([-1, -1, 1]), "ras": np.array([1, 1, 1])}


@pytest.fixture(scope="module")
def asymmetric() -> Surface:
    grid = grid_about((12, 4, 2), OBLIQUE @ np.diag([0.4, -0.4, 0.5]), 32)
    return field_surfaces(AnalyticField({"PA": ASYMMETRIC}), grid)["PA"]


@pytest.mark.parametrize("space", ["lps", "ras"])
@pytest.mark.parametrize(("extension", "read"), READERS, ids=lambda v: getattr(v, "__name__", v))
def test_every_format_comes_back(
    extension: str,
    read: Callable[[Path], tuple[np.ndarray, np.ndarray]],
    space: str,
    asymmetric: Surface,
    tmp_path: Path,
) -> None:
    path = tmp_path / f"PA.{extension}"
    if extension == "glb":
        write_scene(path, {"PA": asymmetric}, space)
    else:
        write_surface(path, asymmetric, "PA", 7, space)
    vertices, faces = read(path)
    if extension == "glb":
        vertices = to_patient_mm(path, vertices)
    back = Surface((vertices * TO_RAS[space]).astype(np.float32), faces.astype(np.int64))
    # Left stays left: the long arm reaches 36 mm to the right, nothing more than 6 to the left.
    np.testing.assert_allclose(back.vertices_mm.max(axis=0), [36, 24, 6], atol=0.1)
    np.testing.assert_allclose(back.vertices_mm.min(axis=0), [-6, -6, -16], atol=0.1)
    assert KDTree(asymmetric.vertices_mm).query(back.vertices_mm)[0].max() < 1e-3
    assert KDTree(back.vertices_mm).query(asymmetric.vertices_mm)[0].max() < 1e-3
    # In the creases between the arms a grid of half a millimetre rounds a little off.
    assert np.abs(ASYMMETRIC(back.vertices_mm)).max() <= 0.12
    assert back.volume_mm3 == pytest.approx(asymmetric.volume_mm3, rel=1e-4)


@pytest.mark.parametrize("extension", ["vtp", "stl", "ply", "obj"])
@pytest.mark.parametrize("space", ["lps", "ras"])
def test_every_file_says_its_space(
    extension: str, space: str, asymmetric: Surface, tmp_path: Path
) -> None:
    """Where 3D Slicer looks for it: field data (VTP), the header (STL), a comment (PLY, OBJ)."""
    path = tmp_path / f"PA.{extension}"
    write_surface(path, asymmetric, "PA", 7, space)
    if extension == "vtp":
        reader = vtkXMLPolyDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        fields = reader.GetOutput().GetFieldData()
        said = f"SPACE={fields.GetAbstractArray('SPACE').GetValue(0)}"
        assert fields.GetAbstractArray("Structure").GetValue(0) == "PA"
        assert fields.GetArray("Label").GetValue(0) == 7
        assert fields.GetArray("Color").GetTuple3(0) == structure("PA").color
    elif extension == "stl":
        reader = vtkSTLReader()
        reader.SetFileName(str(path))
        reader.Update()
        said = reader.GetHeader()
    else:
        head = path.read_bytes()[:400].decode("latin-1").splitlines()
        said = " ".join(line for line in head if line.startswith(("comment", "#")))
    assert f"SPACE={space.upper()}" in said


def test_a_scene_has_a_named_coloured_node_per_structure(tmp_path: Path) -> None:
    surfaces = field_surfaces(heart(), Grid.fitted(np.full(3, -90.0), np.full(3, 90.0), 60))
    write_scene(tmp_path / "heart.glb", surfaces)
    scene = trimesh.load_scene(tmp_path / "heart.glb")
    assert set(scene.graph.nodes_geometry) == set(surfaces)
    assert glb_header(tmp_path / "heart.glb")["asset"]["extras"]["space"] == "LPS"
    for name in surfaces:
        transform, geometry = scene.graph[name]
        np.testing.assert_array_equal(transform, np.eye(4))
        # glTF keeps linear intensities; a viewer raises them to about 1/2.2 for the display.
        linear = scene.geometry[geometry].visual.material.baseColorFactor[:3] / 255
        np.testing.assert_allclose(255 * linear ** (1 / 2.2), structure(name).color, atol=6)


@pytest.mark.parametrize("space", ["lps", "ras"])
def test_a_scene_is_in_metres_with_y_up_and_leads_back_to_the_other_meshes(
    space: str, tmp_path: Path
) -> None:
    """The file's own bytes, read as the specification says, against the VTP meshes."""
    grid = Grid.fitted(np.full(3, -90.0), np.full(3, 90.0), 60)
    surfaces = {
        name: replace(surface, vertices_mm=surface.vertices_mm + np.float32([120, -340, 610]))
        for name, surface in field_surfaces(heart(), grid).items()
    }
    write_scene(tmp_path / "heart.glb", surfaces, space)
    write_surfaces(tmp_path, surfaces, tuple(surfaces), "vtp", space)
    header, content = glb_header(tmp_path / "heart.glb"), (tmp_path / "heart.glb").read_bytes()
    assert header["asset"]["version"] == "2.0"
    start = content.index(b"BIN\0") + 4
    for mesh in header["meshes"]:
        accessor = header["accessors"][mesh["primitives"][0]["attributes"]["POSITION"]]
        assert (accessor["type"], accessor["componentType"]) == ("VEC3", 5126)  # float32
        offset = start + header["bufferViews"][accessor["bufferView"]]["byteOffset"]
        count = 3 * accessor["count"]
        metres = np.frombuffer(content, "<f4", count, offset).reshape(-1, 3).astype(float)
        ras_mm = surfaces[mesh["name"]].vertices_mm.astype(float)
        left, front, up = -ras_mm[:, 0], ras_mm[:, 1], ras_mm[:, 2]
        np.testing.assert_allclose(1000 * metres, np.stack([left, up, front], axis=1), atol=1e-4)
        given, _ = read_vtp(tmp_path / f"{mesh['name']}.vtp")
        back = to_patient_mm(tmp_path / "heart.glb", metres)
        np.testing.assert_allclose(back, given, rtol=0, atol=1e-4)
    # Nodes place nothing elsewhere.
    identity = np.eye(4).ravel().tolist()
    assert all(node.get("matrix", identity) == identity for node in header["nodes"])
    assert not any({"translation", "rotation", "scale"} & node.keys() for node in header["nodes"])


def test_files_are_named_after_structures(tmp_path: Path, asymmetric: Surface) -> None:
    paths = write_surfaces(tmp_path, {"PA": asymmetric, "LV": asymmetric}, ("LV", "RV", "PA"))
    assert paths == [tmp_path / "LV.vtp", tmp_path / "PA.vtp"]
    assert sorted(tmp_path.iterdir()) == paths
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(paths[1]))
    reader.Update()
    assert reader.GetOutput().GetFieldData().GetArray("Label").GetValue(0) == 3


def test_unknown_formats_and_spaces_are_refused(tmp_path: Path, asymmetric: Surface) -> None:
    with pytest.raises(
        InputError, match=r"unknown mesh .*; choose from \.vtp, \.stl, \.ply, \.obj"
    ):
        write_surface(tmp_path / "PA.fbx", asymmetric, "PA", 7)
    with pytest.raises(InputError, match="'mni'"):
        write_surface(tmp_path / "PA.stl", asymmetric, "PA", 7, "mni")
    assert list(tmp_path.iterdir()) == []


def test_summaries_of_meshes_and_label_maps() -> None:
    two_balls = any_of(ball((-12, 0, 0), 8), ball((12, 0, 0), 8))
    field = AnalyticField({"Coronary": two_balls, "PV": ball((500, 0, 0), 9)})
    grid = grid_about((0, 0, 0), np.eye(3), 24)
    label_map, surfaces = rasterize(field, grid), field_surfaces(field, grid)
    coronary = of_surface(surfaces["Coronary"])
    assert coronary["volume_ml"] == pytest.approx(2 * 4 / 3 * np.pi * 0.512, rel=0.02)
    assert coronary["area_mm2"] == pytest.approx(2 * 4 * np.pi * 64, rel=0.02)
    assert coronary["euler"] == 4  # two balls
    assert coronary["watertight"] is True
    none = {"volume_ml": 0, "area_mm2": 0, "faces": 0, "watertight": None, "euler": None}
    assert of_surface(None) == none
    voxels = np.count_nonzero(label_map.labels)
    assert of_label_map(label_map, field.structures) == {
        "Coronary": {"voxels": voxels, "labels_ml": voxels / 1000, "labels_pieces": 2},
        "PV": {"voxels": 0, "labels_ml": 0, "labels_pieces": 0},
    }
    specks = find_specks(evaluate_exclusive(field, grid))
    assert of_specks(specks, "Coronary") == {"pieces": 2, "specks": None}
    assert of_specks(specks, "PV") == {"pieces": 0, "specks": None}
    assert of_decimation({}, "PV") is None
