"""Sound inputs of every kind for the attacks to damage: small, so that a command takes little."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import trimesh
import yaml
from highdicom import Volume
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes
from skimage.measure import marching_cubes
from support.dicom import FRAME, ct_slice
from support.hearts import write_small_phantoms
from support.maps import LPS
from support.meshes import write_vtp
from support.runs import RECIPE
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.evaluate import evaluate
from vecsetx.commands.prepare import PrepareOptions, prepare
from vecsetx.commands.shape.fit import fit_shape_space
from vecsetx.commands.train import train_model
from vecsetx.data.dataset import DataSet
from vecsetx.evaluation.inputs import EvaluateOptions
from vecsetx.evaluation.scores import Score, summarize, write_scores
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.npz.layout import write_npz
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import SamplesFile

MESH_FORMATS = ("vtp", "stl", "ply", "obj")


@dataclass(frozen=True)
class Material:
    """A folder of sound inputs.

    Attributes:
        folder: Holds ``labels/``, ``data/`` (prepared), ``two/`` (two hearts of two structures,
            prepared), ``run/`` (trained), ``space/`` (of three such hearts), ``meshes-FORMAT/``,
            ``scores/`` and ``refined/``, and one file for each other format.
    """

    folder: Path

    def copy(self, name: str, to: Path) -> Path:
        """Copy a file or folder into a folder under the same name; return the copy."""
        source, target = self.folder / name, to / Path(name).name
        copying = shutil.copytree if source.is_dir() else shutil.copy
        return Path(copying(source, target))


def make_material(folder: Path) -> Material:
    """Fill an empty folder with sound inputs, a data set, a run and two evaluations: 20 s."""
    maps = write_small_phantoms(folder / "labels", 3)
    data = _prepared(maps, folder / "data", val_share=0.34)
    simple = [_with_two_structures(path, folder / "two-maps") for path in maps]
    _prepared(simple[:2], folder / "two", val_share=0.0)
    three = _prepared(simple, folder / "three", val_share=0.0)
    recipe = RECIPE.changed({"batch": {"hearts": 1}, "training": {"steps": 20}}, "attack")
    train_model(data.folder, folder / "run", recipe)
    fit_shape_space(three.folder, folder / "run", "run", folder / "space")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.to_dict()))
    for name, steps in (("scores", 0), ("refined", 3)):
        scored = EvaluateOptions(EncodeOptions(refine=steps), "train", meshes=False)
        evaluate(folder / "run", [folder / "data"], folder / name, scored)
    return with_inputs(folder, maps[0])


def _prepared(maps: list[Path], out: Path, val_share: float) -> DataSet:
    options = PrepareOptions(
        label_set("default"),
        sampling=SamplingSpec(1000, 1000, 1000),
        val_share=val_share,
        workers=1,
    )
    data, failed = prepare(maps, out, options)
    assert not failed
    return data


def _with_two_structures(path: Path, folder: Path) -> Path:
    """Write a heart of two structures: a calibration hides each in turn, which takes its time."""
    heart = read_label_map(path)
    ids = {name: label for label, name in label_set("default").ids.items()}
    kept = np.isin(heart.labels, [ids["LA"], ids["LAA"]])
    labels = np.where(kept, heart.labels, 0).astype(heart.labels.dtype)
    folder.mkdir(exist_ok=True)
    write_label_map(replace(heart, labels=labels), folder / path.name)
    return folder / path.name


def with_inputs(folder: Path, heart: Path) -> Material:
    """Add a heart in every format, a calibration and scores to ``data/`` and ``run/``."""
    label_map = read_label_map(heart)
    _write_images(label_map, folder)
    _write_surfaces(label_map, folder)
    heart_file = folder / "data" / "hearts" / "phantom00.safetensors"
    shutil.copy(heart_file, folder / "heart.safetensors")
    write_npz(SamplesFile(heart_file).read(), folder / "heart.npz")
    model = folder / "run" / "model"
    factor = SdFactor(1.5, {"LA": 2.0}, None, 2, ("a", "b"), "2026-01-31")
    factor.write(model, TrainedModel.from_pretrained(model), {})
    for number, name in enumerate(("scores", "refined"), 1):
        if not (folder / name).exists():
            _write_scores(folder / name, number)
    return Material(folder)


def _write_scores(folder: Path, number: int) -> None:
    rows = [
        Score(
            heart, structure, "found", {"dice": 0.9 / number, "iou": 0.8 / number, "truth_ml": 90.0}
        )
        for heart in ("a", "b")
        for structure in ("LV", "LA")
    ]
    scores = summarize(rows) | {"scoring": {"tolerance_mm": 1.0}, "provenance": {"model": "run"}}
    write_scores(folder, rows, scores)


def _write_images(label_map: LabelMap, folder: Path) -> None:
    names = label_set("default").ids
    labels = label_map.labels.astype(np.uint8)
    image = nib.Nifti1Image(labels, label_map.affine)
    nib.save(image, folder / "plain.nii")
    nib.save(image, folder / "packed.nii.gz")
    table = "".join(f'<Label Key="{k}"><![CDATA[{n}]]></Label>' for k, n in names.items())
    inner = f"<VolumeInformation><LabelTable>{table}</LabelTable></VolumeInformation>"
    caret = f"<CaretExtension>{inner}</CaretExtension>"
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, caret.encode()))
    nib.save(image, folder / "named.nii")
    (folder / "plain.tsv").write_text(
        "index\tname\n" + "".join(f"{k}\t{n}\n" for k, n in names.items())
    )
    (folder / "plain.ctbl").write_text(
        "".join(f"{k} {n} 222 45 62 255\n" for k, n in names.items())
    )
    (folder / "labels.yaml").write_text(yaml.safe_dump({"ids": dict(names)}))
    (folder / "recorded.json").write_text(json.dumps({"labels": {n: k for k, n in names.items()}}))
    grid = _itk(label_map)
    sitk.WriteImage(grid, str(folder / "plain.mha"), False)
    sitk.WriteImage(grid, str(folder / "plain.nrrd"), True)
    for number, (label, name) in enumerate(names.items()):
        for key, value in {
            "ID": f"S{number}",
            "Name": name,
            "LabelValue": label,
            "Layer": 0,
        }.items():
            grid.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(grid, str(folder / "named.seg.nrrd"), True)
    _write_dicom(label_map, list(names.items()), folder / "named.dcm")


def _itk(label_map: LabelMap) -> sitk.Image:
    image = sitk.GetImageFromArray(label_map.labels.astype(np.uint8).transpose())
    moved = LPS @ label_map.affine
    spacing = np.linalg.norm(moved[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((moved[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(moved[:3, 3].tolist())
    return image


def _write_dicom(label_map: LabelMap, names: list[tuple[int, str]], path: Path) -> None:
    present = [(label, name) for label, name in names if (label_map.labels == label).any()]
    described = [
        SegmentDescription(number, name, codes.SCT.Tissue, codes.SCT.Tissue, "MANUAL")
        for number, (_, name) in enumerate(present, 1)
    ]
    masks = np.stack([label_map.labels == label for label, _ in present], -1).astype(np.uint8)
    volume = Volume(
        masks,
        affine=LPS @ label_map.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=FRAME,
        channels={"SegmentNumber": list(range(1, len(present) + 1))},
    )
    slices = [ct_slice(*label_map.labels.shape[1:])]
    Segmentation(
        slices, volume, "BINARY", described, "1.2.5", 1, "1.2.6", 1, "m", "m", "1", "1"
    ).save_as(path)


def _write_surfaces(label_map: LabelMap, folder: Path) -> None:
    """Write a mesh per structure in every format, in LPS, and labelled points."""
    rows = ["x,y,z,structure"]
    for ending in MESH_FORMATS:
        (folder / f"meshes-{ending}").mkdir()
    for label, name in label_set("default").ids.items():
        inside = np.pad(label_map.labels == label, 1)
        if not inside.any():
            continue
        corners, faces, _, _ = marching_cubes(inside.astype(np.float32), 0.5)
        mesh = trimesh.Trimesh(label_map.to_mm(corners - 1) * [-1, -1, 1], faces)
        for ending in ("stl", "ply", "obj"):
            mesh.export(folder / f"meshes-{ending}" / f"{name}.{ending}")
        write_vtp(folder / "meshes-vtp" / f"{name}.vtp", _polydata(mesh))
        rows += [f"{x:.3f},{y:.3f},{z:.3f},{name}" for x, y, z in mesh.vertices[::9]]
    (folder / "points.csv").write_text("\n".join(rows) + "\n")


def _polydata(mesh: trimesh.Trimesh) -> vtkPolyData:
    polydata, points, faces = vtkPolyData(), vtkPoints(), vtkCellArray()
    points.SetData(numpy_to_vtk(np.asarray(mesh.vertices, np.float32), deep=True))
    threes = np.column_stack([np.full(len(mesh.faces), 3), mesh.faces]).astype(np.int64)
    faces.ImportLegacyFormat(numpy_to_vtkIdTypeArray(threes.ravel(), deep=True))
    polydata.SetPoints(points)
    polydata.SetPolys(faces)
    return polydata
