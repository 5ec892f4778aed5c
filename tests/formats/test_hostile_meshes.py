"""Meshes and points from strangers: a header's counts are compared with the file."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from support.limited import outcomes
from support.meshes import write_vtp
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkStripper
from vtkmodules.vtkFiltersSources import vtkCubeSource
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.formats import closed_mesh
from vecsetx.formats.meshes import read_mesh
from vecsetx.formats.points import read_points
from vecsetx.formats.vtp.polydata import read_polydata

HUGE = b"999999999999"
MEGABYTES = 200


def cube(strips: bool = False) -> vtkPolyData:
    """A cube of squares, or of strips of triangles, with texts and numbers at its corners."""
    source = vtkCubeSource()
    source.Update()
    polydata = source.GetOutput()
    if strips:
        stripper = vtkStripper()
        stripper.SetInputData(polydata)
        stripper.Update()
        polydata = stripper.GetOutput()
    words = vtkStringArray()
    words.SetName("structure")
    for index in range(polydata.GetNumberOfPoints()):
        words.InsertNextValue("Höhle" if index % 2 else "LV")
    polydata.GetPointData().AddArray(words)
    numbers = numpy_to_vtk(np.arange(polydata.GetNumberOfPoints(), dtype=np.int16), True)
    numbers.SetName("label")
    polydata.GetPointData().AddArray(numbers)
    return polydata


@pytest.mark.parametrize("mode", ["Ascii", "Binary", "Appended"])
@pytest.mark.parametrize("compressor", ["None", "ZLib", "LZ4", "LZMA"])
def test_vtp_is_read_as_by_vtk(tmp_path: Path, mode: str, compressor: str) -> None:
    path = tmp_path / "a.vtp"
    for number in range(16):
        polydata = cube(strips=bool(number & 1))
        writer = vtkXMLPolyDataWriter()
        writer.SetInputData(polydata)
        writer.SetFileName(str(path))
        getattr(writer, f"SetDataModeTo{mode}")()
        getattr(writer, f"SetCompressorTypeTo{compressor}")()
        writer.SetEncodeAppendedData(number & 2)
        (writer.SetHeaderTypeToUInt32 if number & 4 else writer.SetHeaderTypeToUInt64)()
        (writer.SetByteOrderToBigEndian if number & 8 else writer.SetByteOrderToLittleEndian)()
        writer.Write()
        found = read_polydata(path)
        reader = vtkXMLPolyDataReader()
        reader.SetFileName(str(path))
        reader.Update()
        expected = vtk_to_numpy(reader.GetOutput().GetPoints().GetData())
        np.testing.assert_array_equal(found.points, expected)
        assert found.faces.shape == (12, 3)
        corners = found.points[found.faces]
        volume = np.linalg.det(corners).sum() / 6
        assert volume == pytest.approx(1)
        assert list(found.data["label"]) == list(range(len(expected)))
        assert found.data["structure"] == ["LV", "Höhle"] * (len(expected) // 2)


def hostile_vtp(folder: Path) -> dict[str, Path]:
    """Change one number of a VTP file each."""
    sound = write_vtp(folder / "sound.vtp", cube()).read_bytes()
    files = {}
    for field in (b"NumberOfPoints", b"NumberOfPolys", b"NumberOfComponents", b"offset"):
        files[field.decode()] = re.sub(rb'\b%s="\d+"' % field, b'%s="%s"' % (field, HUGE), sound)
    files["negative"] = sound.replace(b'NumberOfPoints="24"', b'NumberOfPoints="-1"')
    files["digits"] = sound.replace(
        b'NumberOfPoints="24"', b'NumberOfPoints="' + b"9" * 9999 + b'"'
    )
    files["doctype"] = sound.replace(b"<VTKFile", b'<!DOCTYPE a [<!ENTITY b "c">]>\n<VTKFile')
    # A sound header, and blocks that claim more.
    begin = sound.index(b"_", sound.index(b"<AppendedData")) + 1
    raw = sound[:begin].replace(b'"base64"', b'"raw"')
    end = b"</AppendedData></VTKFile>"
    for name, words in {
        "blocks": (2**32 - 1, 8, 8, 8),
        "block": (1, 2**32 - 1, 0, 8),
        "last": (1, 8, 2**32 - 1, 8),
        "compressed": (1, 288, 0, 2**32 - 1),
    }.items():
        files[name] = raw + struct.pack("<4I", *words) + zlib.compress(bytes(288)) + bytes(9) + end
    for name, content in files.items():
        assert content != sound
        (folder / f"{name}.vtp").write_bytes(content)
    return {name: folder / f"{name}.vtp" for name in files}


def hostile_others(folder: Path) -> dict[str, Path]:
    """STL, PLY and OBJ files, and points, whose counts are not true."""
    ball = trimesh.creation.icosphere(1)
    stl, ply = (trimesh.exchange.export.export_mesh(ball, None, kind) for kind in ("stl", "ply"))
    text = trimesh.exchange.export.export_mesh(ball, None, "ply", encoding="ascii")
    obj = trimesh.exchange.export.export_mesh(ball, None, "obj").encode()
    files = {
        "count.stl": stl[:80] + b"\xff" * 4 + stl[84:],
        "facet.stl": b"facet" + stl[5:80] + b"\xff" * 4 + stl[84:],
        "vertices.ply": ply.replace(b"element vertex 42", b"element vertex " + HUGE),
        "faces.ply": ply.replace(b"element face 80", b"element face " + HUGE),
        "list.ply": ply.replace(b"list uchar int", b"list uint double"),
        "ascii.ply": text.replace(b"element vertex 42", b"element vertex " + HUGE),
        "index.obj": obj + b"f 1 2 " + HUGE + b"\n",
        "digits.obj": obj + b"f 1 2 " + b"9" * 9999 + b"\n",
        "far.obj": obj.replace(b"v ", b"v 1e300 ", 1),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in files}


def test_counts_are_not_believed(tmp_path: Path) -> None:
    trimesh.creation.icosphere(1).export(sound := tmp_path / "sound.stl")
    paths = [*hostile_vtp(tmp_path).values(), *hostile_others(tmp_path).values()]
    calls = [(read_mesh, (path,)) for path in (*paths, tmp_path / "sound.vtp", sound)]
    found = outcomes(calls, MEGABYTES, [(read_mesh, (sound,))])
    assert found[-2:] == ["read", "read"]
    for path, said in zip(paths, found, strict=False):
        assert said.startswith(f"{path}: "), path.name


def test_a_mesh_reads_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.mtl").write_text("newmtl a\nmap_Kd secret.png\n")
    ball = trimesh.exchange.export.export_mesh(trimesh.creation.icosphere(1), None, "obj")
    path = tmp_path / "in" / "a.obj"
    path.parent.mkdir()
    path.write_text(f"mtllib ../secret.mtl\nusemtl a\n{ball}")
    opened: list[str] = []
    monkeypatch.setattr(
        "trimesh.resolvers.FilePathResolver.get", lambda _, name: opened.append(name) or b""
    )
    read_mesh(path)
    assert not opened


@pytest.mark.parametrize(
    "row",
    [
        "1,2,3," + "9" * 5000,
        "1,2,3,²",
        "1,2,3,LV\n" * 3 + "1e400,2,3,LV",
        '1,2,3,"' + "x" * 200000 + '"',
        "1,2",
        "1,2,3,LV\0",
        "\udcff",
    ],
    ids=["digits", "superscript", "infinite", "long", "short", "null", "bytes"],
)
def test_rows_of_points(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"x,y,z,structure\n{row}\n".encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"a\.csv") as refusal:
        read_points(path, ("LV",), label_set("default"))
    assert len(str(refusal.value)) < 1000


def two_cubes() -> trimesh.Trimesh:
    """Cubes of 64 and 8 ml."""
    near = trimesh.creation.box((40, 40, 40))
    return trimesh.util.concatenate(
        [near, trimesh.creation.box((20, 20, 20)).apply_translation([99, 0, 0])]
    )


def cut_files() -> dict[str, tuple[str, bytes, str]]:
    """Return damaged files of both cubes: case → name, content, and part of the message."""
    solids = two_cubes().split()
    stl = b"".join(solid.export(file_type="stl_ascii").encode() + b"\n" for solid in solids)
    ply = two_cubes().export(file_type="ply", encoding="ascii")
    obj = two_cubes().export(file_type="obj").encode()
    faces = re.sub(
        rb"(?m)^f (\d+) (\d+) (\d+)$",
        lambda face: b"f %d %d %d" % tuple(int(corner) - 17 for corner in face.groups()),
        re.sub(rb"(?m)^(vn|vt) .*\n", b"", re.sub(rb"(\d+)/\S*", rb"\1", obj)),
    )
    return {
        "STL without its last end": ("a.stl", stl.rpartition(b"endsolid")[0], "1 of 2 solids"),
        "STL cut within a facet": ("a.stl", stl[: stl.rindex(b"vertex")], "facets have an end"),
        "PLY cut after a row": ("a.ply", ply.rstrip().rpartition(b"\n")[0] + b"\n", "has 39 of 40"),
        "PLY with a row too many": ("a.ply", ply.rstrip() + b"\n3 0 1 2\n", "has 41 of 40 rows"),
        "PLY that claims more": (
            "a.ply",
            ply.replace(b"element face 24", b"element face 2000000000"),
            "of 2000000016 rows",
        ),
        "OBJ counting back": ("a.obj", faces, "an index that is not a number from 1 on"),
        "OBJ from 0": ("a.obj", obj + b"f 0 1 2\n", "an index that is not a number from 1 on"),
        "OBJ of many corners": ("a.obj", obj + b"f" + b" 1 2" * 200 + b"\n", "over 255 corners"),
        "OBJ short of a number": ("a.obj", obj + b"v\t1 2\n", "have 2 or "),
    }


CUT = cut_files()


@pytest.mark.parametrize("case", CUT)
def test_meshes_of_which_a_part_is_missing(case: str, tmp_path: Path) -> None:
    name, content, told = CUT[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_mesh(tmp_path / name)


def test_whole_meshes_of_two_cubes(tmp_path: Path) -> None:
    cubes = two_cubes()
    stl = b"".join(part.export(file_type="stl_ascii").encode() + b"\n" for part in cubes.split())
    tabs = cubes.export(file_type="obj").replace("v ", "v\t").replace("f ", "f \\\n")
    for name, content in (
        ("a.stl", stl),
        ("b.stl", cubes.export(file_type="stl")),
        ("a.ply", cubes.export(file_type="ply", encoding="ascii")),
        ("b.ply", cubes.export(file_type="ply")),
        ("a.obj", tabs.encode()),
        ("b.obj", b"usemtl a\ng LV\n" + cubes.export(file_type="obj").encode()),
    ):
        (tmp_path / name).write_bytes(content)
        mesh = read_mesh(tmp_path / name)
        assert mesh.volume_ml() == pytest.approx(72), name
        assert len(mesh.faces) == 24


def test_more_pieces_than_any_structure_has(tmp_path: Path) -> None:
    ball = trimesh.creation.icosahedron()
    places = 5.0 * np.argwhere(np.ones((11, 10, 10)))[:1001]
    many = [trimesh.Trimesh(ball.vertices + place, ball.faces) for place in places]
    path = tmp_path / "a.stl"
    for count, told in ((1001, "falls into 1001 pieces"), (1000, "")):
        trimesh.util.concatenate(many[:count]).export(path)
        if told:
            with pytest.raises(InputError, match=told):
                read_mesh(path)
        else:
            assert len(read_mesh(path).faces) == 20 * 1000


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_pieces_around_a_piece_are_found_by_their_boxes(seed: int, count: int) -> None:
    """As if all other pieces were asked, whether they hold it or not."""
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosahedron()
    balls = [ball.vertices * 2.0 ** rng.uniform(-3, 3) + rng.normal(size=3) for _ in range(count)]
    faces = np.concatenate([ball.faces + 12 * n for n in range(count)])
    vertices, piece = np.concatenate(balls), np.repeat(np.arange(count), 20)
    asked = [
        closed_mesh._winding(vertices[faces[piece == n][0, 0]], vertices[faces[piece != n]])
        for n in range(count)
    ]
    np.testing.assert_allclose(closed_mesh._around(vertices, faces, piece), asked, atol=1e-9)
