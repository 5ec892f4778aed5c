"""Meshes and points from strangers: a header's counts are compared with the file."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import trimesh
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
