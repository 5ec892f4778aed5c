"""Small files that claim or unpack to gigabytes, and headers that no heart could have."""

import gzip
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import nibabel as nib
import numpy as np
from support.descriptions import rewritten

from attack.judge import Attack
from attack.material import Material
from attack.mutations import swollen_gzip

_GIGABYTE = 1 << 30


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield every bomb; ``count`` and ``seed`` change nothing."""
    for name, make in _BOMBS.items():
        taken = make(material, folder)
        if isinstance(taken, list):
            words = taken
        else:
            words = ["reconstruct", taken, "--model", str(material.folder / "run"), "--out", "out"]
        # What lies behind a sound map may be left unread.
        refused = "behind" not in name
        yield "bombs", Attack(f"{name}; {words[0]}", tuple(words), "out", refused=refused)


def _claimed_grid(material: Material, folder: Path) -> str:
    """A file of 22 kB whose header claims 2000³ voxels."""
    data = bytearray((material.folder / "plain.nii").read_bytes()[:22000])
    data[40:56] = struct.pack("<8h", 3, 2000, 2000, 2000, 1, 1, 1, 1)
    return _written(folder / "a.nii", bytes(data))


def _zeros_behind(material: Material, folder: Path) -> str:
    """A sound map with 6 GB of zeros behind it."""
    data = (material.folder / "packed.nii.gz").read_bytes()
    return _written(folder / "a.nii.gz", swollen_gzip(data, 6 * _GIGABYTE))


def _claimed_and_there(material: Material, folder: Path) -> str:
    """A map of 2000³ zeros that is really there, packed."""
    header = bytearray((material.folder / "plain.nii").read_bytes()[:352])
    header[40:56] = struct.pack("<8h", 3, 2000, 2000, 2000, 1, 1, 1, 1)
    return _written(folder / "a.nii.gz", swollen_gzip(gzip.compress(bytes(header)), 8 * 10**9))


def _nrrd(material: Material, folder: Path) -> str:
    header, data = (material.folder / "plain.nrrd").read_bytes().split(b"\n\n", 1)
    return _written(folder / "a.nrrd", header + b"\n\n" + swollen_gzip(data, 3 * _GIGABYTE))


def _nrrd_of_another_file(material: Material, folder: Path) -> str:
    header, _ = (material.folder / "plain.nrrd").read_bytes().split(b"\n\n", 1)
    raw = header.replace(b"encoding: gzip", b"encoding: raw")
    return _written(folder / "a.nhdr", raw + b"\ndata file: /etc/passwd\n\n")


def _meta_image_of_another_file(material: Material, folder: Path) -> str:
    header, _ = (material.folder / "plain.mha").read_bytes().split(b"LOCAL\n", 1)
    return _written(folder / "a.mhd", header + b"/etc/passwd\n")


def _meta_image(material: Material, folder: Path) -> str:
    data = (material.folder / "plain.mha").read_bytes()
    return _written(
        folder / "a.mha", data.replace(b"DimSize = 56 56 56", b"DimSize = 5600 5600 560")
    )


def _npz(material: Material, folder: Path) -> str:
    """An array of 3 GB in 3 MB, beside the sound ones."""
    target = folder / "a.npz"
    with (
        ZipFile(material.folder / "heart.npz") as sound,
        ZipFile(target, "w", ZIP_DEFLATED) as made,
    ):
        for name in sound.namelist():
            if name == "near_points.npy":
                header = BytesIO()
                np.lib.format.write_array_header_1_0(
                    header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28, 3)}
                )
                with made.open(name, "w", force_zip64=True) as member:
                    member.write(header.getvalue())
                    for _ in range(3 << 8):
                        member.write(bytes(1 << 22))
            else:
                made.writestr(name, sound.read(name))
    return "a.npz"


def _vtp(material: Material, folder: Path) -> str:
    meshes = material.copy("meshes-vtp", folder)
    data = (meshes / "LA.vtp").read_bytes()
    (meshes / "LA.vtp").write_bytes(
        data.replace(b'NumberOfPoints="', b'NumberOfPoints="999999999', 1)
    )
    return "meshes-vtp"


def _stl(material: Material, folder: Path) -> str:
    meshes = material.copy("meshes-stl", folder)
    data = (meshes / "LA.stl").read_bytes()
    (meshes / "LA.stl").write_bytes(data[:80] + struct.pack("<I", 2**32 - 1) + data[84:])
    return "meshes-stl"


def _ply(material: Material, folder: Path) -> str:
    meshes = material.copy("meshes-ply", folder)
    data = (meshes / "LA.ply").read_bytes()
    (meshes / "LA.ply").write_bytes(data.replace(b"element vertex ", b"element vertex 9999999", 1))
    return "meshes-ply"


def _no_voxel_size(material: Material, folder: Path) -> str:
    data = bytearray((material.folder / "plain.nii").read_bytes())
    data[76:92] = struct.pack("<4f", 1, 0, 0, 0)
    data[252:256] = struct.pack("<2h", 1, 0)  # qform alone
    return _written(folder / "a.nii", bytes(data))


def _scaled(by: float) -> Callable[[Material, Path], str]:
    def make(material: Material, folder: Path) -> str:
        image = nib.load(material.folder / "plain.nii")
        image.header.set_sform(image.affine @ np.diag([by, by, by, 1]), 2)
        image.header.set_qform(None, 0)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), folder / "a.nii")
        return "a.nii"

    return make


def _bounded(key: str, value: int) -> Callable[[Material, Path], list[str]]:
    def make(material: Material, folder: Path) -> list[str]:
        model = material.copy("run/model", folder)
        material.copy("plain.nii", folder)
        with rewritten(model / "model.json") as content:
            content["model"][key] = value
        return ["reconstruct", "plain.nii", "--model", "model", "--out", "out"]

    return make


def _recipe(change: str) -> Callable[[Material, Path], list[str]]:
    def make(material: Material, folder: Path) -> list[str]:
        return ["train", str(material.folder / "data"), "--out", "out", change]

    return make


def _yaml(text: str) -> Callable[[Material, Path], list[str]]:
    def make(material: Material, folder: Path) -> list[str]:
        material.copy("plain.nii", folder)
        (folder / "labels.yaml").write_text(text)
        return ["inspect", "plain.nii", "--labels", "labels.yaml"]

    return make


def _laughs() -> str:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join([*lines, "ids: *a11"])


def _written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return path.name


_BOMBS: dict[str, Callable[[Material, Path], str | list[str]]] = {
    "2000³ voxels claimed in 22 kB": _claimed_grid,
    "2000³ zeros, packed": _claimed_and_there,
    "6 GB of zeros behind a gzip": _zeros_behind,
    "3 GB of zeros behind a NRRD": _nrrd,
    "NRRD of another file": _nrrd_of_another_file,
    "MetaImage of another file": _meta_image_of_another_file,
    "MetaImage that claims more": _meta_image,
    "NPZ of 3 GB in 3 MB": _npz,
    "VTP of 10⁹ points": _vtp,
    "STL of 2³² faces": _stl,
    "PLY of 10⁹ vertices": _ply,
    "voxels of 0 mm": _no_voxel_size,
    "voxels of 10³⁰ mm": _scaled(1e30),
    "voxels of 10⁻²⁰ mm": _scaled(1e-20),
    "voxels of 1000 mm": _scaled(1000 / 2.4),
    "model of width 16384": _bounded("width", 16384),
    "model of 10⁹ layers": _bounded("layers", 10**9),
    "recipe of width 10⁹": _recipe("model.width=1000000000"),
    "recipe of 10⁹ hearts": _recipe("batch.hearts=1000000000"),
    "recipe of 100000 layers": _recipe("model.layers=100000"),
    "YAML of 20000 brackets": _yaml("ids: " + "[" * 20000),
    "YAML of a billion laughs": _yaml(_laughs()),
    "YAML number of 10⁵ digits": _yaml("ids: {" + "9" * 100000 + ": LV}"),
}
