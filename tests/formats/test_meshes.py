"""Meshes: read where they lie, whatever the format says of space, and refused without an inside."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from support.meshes import bent_ball, write_vtp
from vtkmodules.vtkCommonCore import vtkStringArray
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


def read(path, *options):
    mesh = read_mesh(path, *options)
    return mesh.vertices_mm, mesh.faces


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
        found, found_faces = read(path, assumed)
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
    ras, ras_faces = read(path, "ras")
    np.testing.assert_allclose(
        triangles(ras, ras_faces), triangles(vertices, faces), rtol=0, atol=1e-5
    )
    lps, lps_faces = read(path)
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
    found, found_faces = read(tmp_path / "LV.stl", "lps")
    assert found[:, 0].mean() == pytest.approx(vertices[:, 0].mean(), abs=0.5)
    assert volume(found, found_faces) == pytest.approx(volume(vertices, faces), rel=1e-3)


def test_polygons_with_a_corner_for_every_face(tmp_path):
    """VTK's cube: quadrilaterals, 24 points for 8 places."""
    cube = vtkCubeSource()
    cube.SetCenter(5, 6, 7)
    cube.Update()
    path = write_vtp(tmp_path / "LV.vtp", cube.GetOutput())
    vertices, faces = read(path)
    assert (len(vertices), len(faces)) == (8, 12)
    assert vertices.mean(axis=0).tolist() == [-5, -6, 7]
    assert volume(vertices, faces) == pytest.approx(1)
    vertices, _ = read(write_vtp(tmp_path / "RV.vtp", cube.GetOutput(), "RAS"))
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
    found, found_faces = read(saved(tmp_path, vertices, faces))
    assert volume(found, found_faces) == pytest.approx(volume(vertices, faces), rel=1e-4)


def with_value(value):
    vertices = BALL[0].copy()
    vertices[7, 1] = value
    return vertices, BALL[1]


FLIPPED = BALL[1].copy()
FLIPPED[5] = FLIPPED[5, ::-1]
TOUCHING = boxes_sharing_an_edge()
TOUCHING[1][3] = TOUCHING[1][3, ::-1].copy()  # as programs do that recompute normals
BAD = {
    "a hole": ((BALL[0], BALL[1][1:]), "open, 3 of 480 edges"),
    "one face turned": (
        (BALL[0], FLIPPED), "opposite orientations along 3 edges; make the normals consistent"
    ),
    "one turned where it touches itself": (
        TOUCHING, "along 3 edges; where a surface .* recompute_normals=False.* --surfaces closed"
    ),
    "one piece inside out": (
        joined(BALL, moved(BALL, (100, 0, 0), 0.5, inward=True)), "points inwards and lies in no"
    ),
    "a wall of two outward surfaces": (
        joined(BALL, moved(BALL, scale=0.5)), "inside another and also points outwards"
    ),
    "nan": (with_value(np.nan), r"vertex \d+ is not finite"),
    "infinite": (with_value(np.inf), r"vertex \d+ is not finite"),
    "beyond everything": (with_value(1e200), r"vertex \d+ is .* beyond 1e\+12"),
    "flat": ((BALL[0] * [1, 1, 0], BALL[1]), "flat and encloses no volume"),
    "two sides of one face": ((BALL[0][:3], np.array([[0, 1, 2], [2, 1, 0]])), "flat and encl"),
    "faces without area": ((BALL[0], np.array([[0, 0, 1], [2, 3, 3]])), "faces are without area"),
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


@pytest.mark.parametrize("ending", ["stl", "ply", "obj", "vtp"])
def test_two_spaces_in_one_file_are_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"LV.{ending}"
    ball = trimesh.Trimesh(*BALL)
    if ending == "stl":
        text = ball.export(file_type="stl_ascii")
        path.write_text("solid SPACE=RAS SPACE=LPS\n" + text.split("\n", 1)[1])
    elif ending == "ply":
        text = ball.export(file_type="ply", encoding="ascii").decode()
        path.write_text(text.replace("1.0\n", "1.0\ncomment SPACE=RAS\ncomment SPACE=lps\n", 1))
    elif ending == "obj":
        path.write_text("# SPACE=RAS\n# SPACE=LPS\n" + ball.export(file_type="obj"))
    else:
        polydata = vtkPolyData()
        for name, space in (("SPACE", "RAS"), ("SPACF", "LPS")):
            array = vtkStringArray()
            array.SetName(name)
            array.InsertNextValue(space)
            polydata.GetFieldData().AddArray(array)
        write_vtp(path, polydata)
        path.write_bytes(path.read_bytes().replace(b"SPACF", b"SPACE"))
    with pytest.raises(InputError, match=rf"LV\.{ending}: .*states several spaces"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("numbers", "sizes"),
    [({3: 2}, "2 or 3"), ({3: 2, 4: 4}, "2 or 3 or 4"), (dict.fromkeys(range(8), 2), "2")],
    ids=["one lacks one", "one has that of another", "all lack one"],
)
def test_every_vertex_of_an_obj_file_has_the_same_numbers(
    numbers: dict[int, int], sizes: str, tmp_path: Path
) -> None:
    lines = trimesh.exchange.obj.export_obj(trimesh.creation.box((20, 30, 40))).splitlines()
    vertices = [number for number, line in enumerate(lines) if line.startswith("v ")]
    for vertex, count in numbers.items():
        line = lines[vertices[vertex]]
        lines[vertices[vertex]] = " ".join((line + " 7").split()[: 1 + count])
    path = tmp_path / "LV.obj"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=f"LV.obj: its vertices have {sizes} numbers each"):
        read_mesh(path)


# --- facing inwards, and specks ---------------------------------------------------------------


@pytest.mark.parametrize("case", GOOD)
def test_faces_that_all_look_the_wrong_way_are_turned(tmp_path, case):
    vertices, faces = GOOD[case]
    found = read_mesh(saved(tmp_path, vertices, faces[:, ::-1]))
    assert found.is_inward
    assert volume(found.vertices_mm, found.faces) == pytest.approx(volume(vertices, faces), 1e-4)
    assert not read_mesh(saved(tmp_path, vertices, faces)).is_inward


LARGE = moved(BALL, scale=1.2)  # 60 ml
SPECKS = {
    "of a billionth of a ml": moved(BALL, scale=1e-3),
    "inside, inward": moved(BALL, scale=0.06, inward=True),
    "inside, outward": moved(BALL, scale=0.06),
    "outside, outward": moved(BALL, (60, 0, 0), 0.06),
    "outside, inward": moved(BALL, (60, 0, 0), 0.06, inward=True),
    "two sides of one face": (BALL[0][:3] + [0, 0, 40], np.array([[0, 1, 2], [2, 1, 0]])),
}


@pytest.mark.parametrize("inward", [False, True])
@pytest.mark.parametrize("case", SPECKS)
def test_a_speck_is_removed_whichever_way_it_faces(tmp_path, case, inward):
    vertices, faces = joined(SPECKS[case], LARGE, moved(BALL, (0, 90, 0), 0.2), SPECKS[case])
    speck_ml = abs(volume(*SPECKS[case])) / 1000
    vertices[: len(SPECKS[case][0])] += 0.5
    found = read_mesh(saved(tmp_path, vertices, faces[:, ::-1] if inward else faces), "ras")
    assert (found.specks, found.is_inward) == (2, inward)
    assert found.specks_ml == pytest.approx(2 * speck_ml, rel=1e-3, abs=1e-9)
    assert len(found.vertices_mm) == 2 * len(BALL[0])
    assert found.volume_ml() == pytest.approx(1.2**3 * volume(*BALL) / 1000, rel=0.02)
    true_mm = trimesh.Trimesh(*LARGE, process=False).center_mass
    assert np.linalg.norm(found.centroid_mm() - true_mm) < 0.5


def test_small_pieces_of_a_small_structure_are_no_specks(tmp_path):
    """A piece of 0.013 ml in 1.2 ml; and one of 0.09 ml, which label maps keep, too."""
    small = moved(BALL, (60, 0, 0), 0.075)
    for part in (moved(BALL, scale=0.3), moved(BALL, (90, 0, 0), 0.14)):
        found = read_mesh(saved(tmp_path, *joined(part, small)))
        assert found.specks == 0
    kept = read_mesh(saved(tmp_path, *joined(LARGE, moved(BALL, (60, 0, 0), 0.14))))
    assert kept.specks == 0
    alone = read_mesh(saved(tmp_path, *moved(BALL, scale=1e-3)))
    assert (alone.specks, len(alone.faces)) == (0, len(BALL[1]))


# --- faces that occur more than once ----------------------------------------------------------


@pytest.mark.parametrize("inward", [False, True])
@pytest.mark.parametrize("extension", ["stl", "ply", "obj"])
@pytest.mark.parametrize("copies", [2, 3])
def test_a_surface_that_lies_twice_in_its_file_counts_once(tmp_path, extension, copies, inward):
    """With vertices of its own, or turned to another first corner."""
    part = moved(BALL, (3, 0, 0), inward=inward)
    turned = part[0], np.roll(part[1], 1, axis=1)
    whole = joined(*[part, turned, part][:copies], moved(BALL, (100, 0, 0), 0.5, inward))
    path = tmp_path / f"LV.{extension}"
    trimesh.Trimesh(*whole, process=False).export(path)
    found = read_mesh(path, "ras")
    assert found.duplicates == (copies - 1) * len(BALL[1])
    assert found.is_inward == inward
    ball_ml = volume(*BALL) / 1000
    assert found.volume_ml() == pytest.approx(ball_ml * (1 + 0.5**3), rel=1e-4)
    once = joined(part, moved(BALL, (100, 0, 0), 0.5, inward))
    trimesh.Trimesh(*once, process=False).export(path)
    np.testing.assert_array_equal(
        triangles(found.vertices_mm, found.faces), triangles(*read(path, "ras"))
    )


def test_single_faces_that_occur_twice(tmp_path):
    vertices, faces = BALL
    found = read_mesh(saved(tmp_path, vertices, np.concatenate([faces, faces[7:12, [1, 2, 0]]])))
    assert (found.duplicates, len(found.faces)) == (5, len(faces))
    with pytest.raises(InputError, match="the surface is open, 3 of 480 edges"):
        read_mesh(saved(tmp_path, vertices, np.concatenate([faces[1:], faces[1:]])))


def test_a_plain_surface_stays_as_it_is(tmp_path):
    """Two faces with the same corners that look to opposite sides are no duplicates."""
    found = read_mesh(saved(tmp_path, *boxes_sharing_an_edge()))
    assert (found.duplicates, len(found.faces)) == (0, 24)
    sheet = BALL[0][:3] + [0, 0, 40], np.array([[0, 1, 2], [2, 1, 0]])
    found = read_mesh(saved(tmp_path, *joined(LARGE, sheet)))
    assert (found.duplicates, found.specks) == (0, 1)


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
