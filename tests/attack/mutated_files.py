"""Sound files of every format, damaged at random, through the commands that read them."""

import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from support.descriptions import rewritten

from attack.judge import Attack
from attack.material import MESH_FORMATS, Material
from attack.mutations import damaged


@dataclass(frozen=True)
class Format:
    """A format, and the command that reads it.

    Attributes:
        name: For the report.
        copied: Files and folders of the material that the command needs.
        damaged: The file among them that is damaged.
        commands: Command lines, taken in turn; ``{run}`` is the trained run, ``{data}`` the
            prepared data set, both sound.
        hashed: Whether any change of its bytes must be found.
        hash_name: The entry of the file that holds a hash of all others.
    """

    name: str
    copied: tuple[str, ...]
    damaged: str
    commands: tuple[str, ...]
    hashed: bool = False
    hash_name: str = ""


def _input(name: str, *copied: str, damaged: str = "", taken: str = "") -> Format:
    """A heart's file: three times inspected, once reconstructed."""
    taken = taken or copied[0]
    inspect = f"inspect {taken} --json"
    reconstruct = (
        f"reconstruct {taken} --model {{run}} --out out --resolution 16 --refine 0 --no-page"
    )
    return Format(name, copied, damaged or copied[0], (inspect, inspect, inspect, reconstruct))


FORMATS = (
    _input("NIfTI", "plain.nii"),
    _input("NIfTI, gzip", "packed.nii.gz"),
    _input("NIfTI with XML names", "named.nii"),
    _input("table TSV", "plain.nii", "plain.tsv", damaged="plain.tsv"),
    _input("colour table", "plain.nii", "plain.ctbl", damaged="plain.ctbl"),
    _input("NRRD", "plain.nrrd"),
    _input("3D Slicer segmentation", "named.seg.nrrd"),
    _input("MetaImage", "plain.mha"),
    _input("DICOM SEG", "named.dcm"),
    *(
        _input(f"mesh {ending.upper()}", f"meshes-{ending}", damaged=f"meshes-{ending}/LA.{ending}")
        for ending in MESH_FORMATS
    ),
    _input("points CSV", "points.csv"),
    _input("NPZ", "heart.npz"),
    _input("prepared heart", "heart.safetensors"),
    Format(
        "label set YAML",
        ("plain.nii", "labels.yaml"),
        "labels.yaml",
        ("inspect plain.nii --labels labels.yaml --json",),
    ),
    Format("recipe YAML", ("recipe.yaml",), "recipe.yaml", ("plan {data} --config recipe.yaml",)),
    Format("data set JSON", ("data",), "data/dataset.json", ("check data --out out", "info data")),
    Format(
        "prepared heart of a data set",
        ("data",),
        "data/hearts/phantom00.safetensors",
        ("check data --out out", "evaluate data --model {run} --out out --refine 0 --no-meshes"),
    ),
    Format(
        "model JSON",
        ("run", "plain.nii"),
        "run/model/model.json",
        (
            "info run",
            "reconstruct plain.nii --model run --out out --resolution 16 --refine 0 --no-page",
        ),
        hash_name="description_sha256",
    ),
    Format(
        "calibration JSON",
        ("run", "plain.nii"),
        "run/model/calibration.json",
        (
            "info run",
            "reconstruct plain.nii --model run --out out --resolution 16 --refine 0 --no-page"
            " --ensemble 2",
        ),
        hash_name="sha256",
    ),
    Format(
        "scores JSON",
        ("scores", "refined"),
        "scores/scores.json",
        ("compare scores refined --out out", "info scores"),
        hash_name="sha256",
    ),
    Format(
        "model weights",
        ("run", "plain.nii"),
        "run/model/model.safetensors",
        ("reconstruct plain.nii --model run --out out --resolution 16 --refine 0 --no-page",),
        hashed=True,
    ),
    Format(
        "journal",
        ("run",),
        "run/metrics.jsonl",
        ("diagnose run", "info run", "train {data} --out run --resume"),
    ),
    Format("checkpoint", ("run",), "run/checkpoint.pt", ("train {data} --out run --resume",)),
)


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield a format's name and an attack on it, ``count`` for each, each in an empty folder."""
    for form in FORMATS:
        for number in range(count):
            # Every attack has a generator of its own, so that one can be repeated alone.
            rng = np.random.default_rng([seed, number, zlib.crc32(form.name.encode())])
            yield form.name, _attack(form, material, folder, number, rng)


def _attack(
    form: Format, material: Material, folder: Path, number: int, rng: np.random.Generator
) -> Attack:
    for name in form.copied:
        material.copy(name, folder)
    target = folder / form.damaged
    if form.hash_name and number % 3:
        with rewritten(target, form.hash_name):  # so that the damage meets more than the hash
            pass
    data, what = damaged(target.read_bytes(), rng)
    target.write_bytes(data)
    words, out = command_on(form, material, number)
    report = folder / "out" / "report.json"
    compared = form.name.startswith("NIfTI") and words[0] == "inspect"
    return Attack(
        f"{form.name} {number}: {what}; {words[0]}",
        words,
        "out" if compared else out,
        before=partial(_print_to, report) if compared else lambda: None,
        wrong=partial(_wrong_report, report, target) if compared else lambda status: "",
        refused=form.hashed,
    )


def command_on(form: Format, material: Material, number: int) -> tuple[tuple[str, ...], str | None]:
    """Return one of a format's commands, and the folder that it may write into, if any."""
    command = form.commands[number % len(form.commands)]
    words = command.format(run=material.folder / "run", data=material.folder / "data").split()
    out = "run" if form.name in ("checkpoint", "journal") else "out" if " out" in command else None
    return tuple(words), out


def _print_to(report: Path) -> None:
    """Have the command print into a file, as ``> out/report.json`` does."""
    report.parent.mkdir()
    place = os.open(report, os.O_WRONLY | os.O_CREAT)
    os.dup2(place, 1)
    os.close(place)


def _wrong_report(report: Path, image: Path, status: int) -> str:
    """Compare the volumes of ``inspect`` with those of nibabel's own reading."""
    if status:
        return ""
    (found,) = json.loads(report.read_text())["result"]["hearts"]
    read = nib.load(image)
    values = np.asarray(read.dataobj)
    voxel_ml = abs(np.linalg.det(read.affine[:3, :3])) / 1000
    remarks = "\n".join(found["remarks"])
    if "or the voxels are damaged" in remarks:
        return ""  # said, and asked for a look: scattered voxels have no surfaces to compare
    for name, structure in found["structures"].items():
        # A surface lies up to half a voxel within the voxels: thin structures lose most by that.
        true_ml = np.count_nonzero(values == structure["id"]) * voxel_ml
        thin = true_ml < 1000 * voxel_ml
        left_out = re.findall(rf"a piece of {name} \(([\d.]+) ml .* it is left out", remarks)
        left_out += re.findall(rf"voxels are left out: .*\b{name} ([\d.]+) of ", remarks)
        ml = structure["ml"] + sum(map(float, left_out))
        if not (0 if thin else 0.8) * true_ml <= ml <= 1.1 * true_ml:
            return f"{name} has {true_ml:.3f} ml, and {structure['ml']} ml were reported"
    return ""
