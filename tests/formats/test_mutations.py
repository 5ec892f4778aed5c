"""Files of every format, damaged at random: each is read or refused, and nothing else is said."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import trimesh
from support.dicom import write_seg
from support.meshes import write_vtp
from support.mutations import mutations
from vtkmodules.vtkFiltersSources import vtkCubeSource

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import name_table_of, read_label_map, write_label_map
from vecsetx.formats.meshes import read_mesh
from vecsetx.formats.name_tables import names_beside
from vecsetx.formats.points import read_points

LABELS = np.zeros((10, 12, 14), np.uint8)
LABELS[2:8, 3:9, 4:7] = 3
LABELS[2:8, 3:9, 7:10] = 5
AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])
CSV = "# SPACE=RAS\nx,y,z,structure\n" + "".join(f"{i},{i * i % 7},2.5,LV\n" for i in range(9))
SEGMENTS = "".join(
    f"Segment{n}_Name:={name}\nSegment{n}_LabelValue:={value}\nSegment{n}_Layer:=0\n"
    for n, (name, value) in enumerate((("LV", 3), ("RV", 5)))
)


def nifti(path: Path) -> None:
    write_label_map(LabelMap(LABELS, AFFINE), path, ("LV", "RV"), label_set("default"))


def nifti_2(path: Path) -> None:
    nib.save(nib.Nifti2Image(LABELS.astype(np.float32), AFFINE), path)


def itk(path: Path) -> None:
    image = sitk.GetImageFromArray(LABELS.transpose())
    sitk.WriteImage(image, str(path), useCompression=path.stem == "packed")


def segments(path: Path) -> None:
    itk(path)
    head, blank, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head + b"\n" + SEGMENTS.encode() + blank[1:] + voxels)


def seg(path: Path) -> None:
    write_seg(path, np.stack([LABELS == 3, LABELS == 5, LABELS == 3], -1))


def mesh(path: Path) -> None:
    if path.suffix == ".vtp":
        source = vtkCubeSource()
        source.Update()
        write_vtp(path, source.GetOutput())
    else:
        trimesh.creation.icosphere(1).export(path)


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None


def points(path: Path) -> Any:
    return read_points(path, ("LV", "RV"), label_set("default"))


def table(path: Path) -> Any:
    (path.with_name("a.nii")).touch()
    found = name_table_of(path.with_name("a.nii"))
    return found and names_beside(found)


FORMATS: dict[str, tuple[str, Callable[[Path], None], Callable[[Path], Any]]] = {
    "NIfTI": ("a.nii", nifti, read_label_map),
    "NIfTI, compressed": ("a.nii.gz", nifti, read_label_map),
    "NIfTI-2": ("a.nii", nifti_2, read_label_map),
    "NIfTI, header of a pair": ("a.hdr", nifti_2, read_label_map),
    "NRRD": ("a.nrrd", itk, read_label_map),
    "NRRD, compressed": ("packed.nrrd", itk, read_label_map),
    "segments": ("a.seg.nrrd", segments, read_label_map),
    "MetaImage": ("a.mha", itk, read_label_map),
    "MetaImage, compressed": ("packed.mha", itk, read_label_map),
    "DICOM SEG": ("a.dcm", seg, read_label_map),
    "VTP": ("a.vtp", mesh, read_mesh),
    "STL": ("a.stl", mesh, read_mesh),
    "PLY": ("a.ply", mesh, read_mesh),
    "OBJ": ("a.obj", mesh, read_mesh),
    "points": ("a.csv", text(CSV), points),
    "TSV": ("a.tsv", text("index\tname\n3\tLV\n5\tRV\n"), table),
    "colour table": ("a.ctbl", text("# c\n3 LV 222 45 62 255\n5 RV 2 4 6 255\n"), table),
}


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_read_or_refused(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    file, write, read = FORMATS[name]
    path = tmp_path / file
    write(path)
    whole = path.read_bytes()
    assert read(path)
    capfd.readouterr()
    generator = np.random.default_rng(list(name.encode()))
    refused = 0
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        damaged = mutations(whole, generator, 120)
        for changed in damaged[::6] if name == "DICOM SEG" else damaged:  # which takes longest
            path.write_bytes(changed)
            try:
                read(path)
            except InputError as error:
                refused += 1
                said = str(error)
                assert said.startswith((f"{path}", f"{path.with_suffix('')}"))
                assert len(said) < 2000
    assert refused > (5 if name == "DICOM SEG" else 20)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
