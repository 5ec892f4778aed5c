"""Meshes: read where they lie, whatever the format says of space, and refused without an inside."""

import numpy as np
import pytest
import trimesh
from support.meshes import bent_ball, write_vtp
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersSources import vtkCubeSource

from vecsetx.errors import InputError
from vecsetx.formats.meshes import read_mesh
from vecsetx.reconstruction.mesh_export import write_surface
from vecsetx.reconstruction.surfaces import Surface

FORMATS = ["vtp", "stl", "ply", "obj"]


def triangles(vertices, faces):
    """The mesh as a sorted array of triangles, each from its first corner on."""
    corners = np.asarray(vertices)[faces]
    first = np.array([min(range(3), key=lambda k: tuple(triangle[k])) for triangle in corners])
    rows = np.arange(len(corners))
    turned = np.stack([corners[rows, (first + k) % 3] for k in range(3)], axis=1).reshape(-1, 9)
    return turned[np.lexsort(turned.T)]


def volume(vertices, faces):
    a, b, c = np.moveaxis(np.asarray(vertices)[faces], 1, 0)
    return np.einsum("fi,fi->", a, np.cross(b, c)) / 6


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("space", ["lps", "ras"])
def test_our_own_meshes_come_back_where_they_were(tmp_path, extension, space):
    vertices, faces = bent_ball()
    path = tmp_path / f"LV.{extension}"
    write_surface(path, Surface(vertices.astype(np.float32), faces), "LV", 3, space)
    for assumed in ("lps", "ras"):  # the file says its own
        found, found_faces = read_mesh(path, assumed)
        assert len(found) == len(vertices)
        assert found.dtype == np.float64
        assert found_faces.dtype == np.int64
        np.testing.assert_allclose(
            triangles(found, found_faces), triangles(vertices, faces), rtol=0, atol=1e-8
        )


@pytest.mark.parametrize("extension", ["stl", "ply", "obj"])
def test_without_a_word_the_given_space_holds(tmp_path, extension):
    vertices, faces = bent_ball()
    path = tmp_path / f"LV.{extension}"
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    ras, ras_faces = read_mesh(path, "ras")
    np.testing.assert_allclose(
        triangles(ras, ras_faces), triangles(vertices, faces), rtol=0, atol=1e-5
    )
    lps, lps_faces = read_mesh(path)
    turned = vertices * [-1, -1, 1]
    np.testing.assert_allclose(
        triangles(lps, lps_faces), triangles(turned, faces), rtol=0, atol=1e-5
    )
    assert volume(lps, lps_faces) == pytest.approx(volume(vertices, faces), rel=1e-5)


def test_ascii_stl_and_slicers_words(tmp_path):
    vertices, faces = bent_ball(1)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    text = mesh.export(file_type="stl_ascii")
    text = "solid 3D Slicer output. SPACE=RAS\n" + text.split("\n", 1)[1]
    (tmp_path / "LV.stl").write_text(text)
    found, found_faces = read_mesh(tmp_path / "LV.stl", "lps")
    assert found[:, 0].mean() == pytest.approx(vertices[:, 0].mean(), abs=0.5)
    assert volume(found, found_faces) == pytest.approx(volume(vertices, faces), rel=1e-3)


def test_polygons_with_a_corner_for_every_face(tmp_path):
    """VTK's cube: quadrilaterals, 24 points for 8 places."""
    cube = vtkCubeSource()
    cube.SetCenter(5, 6, 7)
    cube.Update()
    path = write_vtp(tmp_path / "LV.vtp", cube.GetOutput())
    vertices, faces = read_mesh(path)
    assert (len(vertices), len(faces)) == (8, 12)
    assert vertices.mean(axis=0).tolist() == [-5, -6, 7]
    assert volume(vertices, faces) == pytest.approx(1)
    vertices, _ = read_mesh(write_vtp(tmp_path / "RV.vtp", cube.GetOutput(), "RAS"))
    assert vertices.mean(axis=0).tolist() == [5, 6, 7]


def test_an_unknown_space(tmp_path):
    vertices, faces = bent_ball(0)
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "LV.ply")
    with pytest.raises(InputError, match=r"LV\.ply: unknown space 'lsp'"):
        read_mesh(tmp_path / "LV.ply", "lsp")


# --- what has an inside -----------------------------------------------------------------------


def saved(tmp_path, vertices, faces):
    path = tmp_path / "LV.ply"
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    return path


def joined(*parts):
    """Several meshes as one: (vertices, faces) each."""
    counts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    faces = [f + start for (_, f), start in zip(parts, counts, strict=False)]
    return np.concatenate([v for v, _ in parts]), np.concatenate(faces)


def moved(part, shift=(0.0, 0.0, 0.0), scale=1.0, inward=False):
    vertices, faces = part
    center = vertices.mean(axis=0)
    return (vertices - center) * scale + center + shift, faces[:, ::-1] if inward else faces


BALL = bent_ball()
GOOD = {
    "two pieces": joined(BALL, moved(BALL, (100, 0, 0), 0.2)),
    "a hollow": joined(BALL, moved(BALL, scale=0.5, inward=True)),
    "a hollow and a piece in it": joined(
        BALL, moved(BALL, scale=0.7, inward=True), moved(BALL, scale=0.4), moved(BALL, (90, 0, 0))
    ),
    "a face without area": (BALL[0], np.concatenate([BALL[1], [[0, 0, 1]]])),
}


def boxes_sharing_an_edge():
    a = trimesh.creation.box((1, 1, 1))
    b = trimesh.creation.box((1, 1, 1), trimesh.transformations.translation_matrix([1, 1, 0]))
    return joined((a.vertices, a.faces), (b.vertices, b.faces))


@pytest.mark.parametrize("case", [*GOOD, "touching along an edge"])
def test_surfaces_with_an_inside(tmp_path, case):
    vertices, faces = GOOD[case] if case in GOOD else boxes_sharing_an_edge()
    found, found_faces = read_mesh(saved(tmp_path, vertices, faces))
    assert volume(found, found_faces) == pytest.approx(volume(vertices, faces), rel=1e-4)


def with_value(value):
    vertices = BALL[0].copy()
    vertices[7, 1] = value
    return vertices, BALL[1]


FLIPPED = BALL[1].copy()
FLIPPED[5] = FLIPPED[5, ::-1]
BAD = {
    "a hole": ((BALL[0], BALL[1][1:]), "open, 3 of 480 edges"),
    "one face turned": ((BALL[0], FLIPPED), "opposite orientations along 3 edges"),
    "inside out": (moved(BALL, inward=True), "all faces point inwards.*mirrored"),
    "mirrored": ((BALL[0] * [-1, 1, 1], BALL[1]), "all faces point inwards.*mirrored"),
    "one piece inside out": (
        joined(BALL, moved(BALL, (100, 0, 0), 0.5, inward=True)), "points inwards and lies in no"
    ),
    "a wall of two outward surfaces": (
        joined(BALL, moved(BALL, scale=0.5)), "inside another and also points outwards"
    ),
    "nan": (with_value(np.nan), r"vertex \d+ is not finite"),
    "infinite": (with_value(np.inf), r"vertex \d+ is not finite"),
    "no faces": ((BALL[0], np.empty((0, 3), int)), "contains no faces"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_surfaces_without_an_inside(tmp_path, case):
    (vertices, faces), reason = BAD[case]
    path = tmp_path / "LV.obj"
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    lines += [f"f {a} {b} {c}" for a, b, c in np.asarray(faces) + 1]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=rf"LV\.obj: .*{reason}"):
        read_mesh(path)


@pytest.mark.parametrize("extension", FORMATS)
def test_text_nothing_and_gone(tmp_path, extension, capfd):
    path = tmp_path / f"LV.{extension}"
    with pytest.raises(InputError, match=rf"LV\.{extension}: no such file"):
        read_mesh(path)
    for content in ("these are no faces\n", ""):
        path.write_text(content)
        with pytest.raises(InputError, match=rf"LV\.{extension}: "):
            read_mesh(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("extension", FORMATS)
def test_meshes_cut_short(tmp_path, extension, capfd):
    path = tmp_path / f"LV.{extension}"
    vertices, faces = bent_ball()
    write_surface(path, Surface(vertices.astype(np.float32), faces), "LV", 3)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 4])
    with pytest.raises(InputError, match=rf"LV\.{extension}: "):
        read_mesh(path)
    assert capfd.readouterr() == ("", "")


def test_a_vtp_without_faces(tmp_path):
    with pytest.raises(InputError, match="contains no faces"):
        read_mesh(write_vtp(tmp_path / "LV.vtp", vtkPolyData()))
