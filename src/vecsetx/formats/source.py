"""Where a heart comes from: a label map, masks, meshes or points, and what is in them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet, label_set_hint
from vecsetx.anatomy.structures import find_structure
from vecsetx.errors import InputError
from vecsetx.formats.images import IMAGE_ENDINGS, NIFTI_ENDINGS, is_image
from vecsetx.formats.label_maps import read_label_map
from vecsetx.formats.masks import read_masks
from vecsetx.formats.meshes import MESH_ENDINGS, is_mesh, read_mesh
from vecsetx.formats.points import LabelledPoints, read_points

Kind = Literal["label map", "masks", "meshes", "npz", "samples", "points"]

SAMPLES_ENDING = ".safetensors"
"""Ending of a prepared heart's file."""

ENDINGS = (*IMAGE_ENDINGS, *MESH_ENDINGS, ".npz", SAMPLES_ENDING, ".csv")
"""Endings of everything that hearts are made of, the longer before those that they end in."""

OWN_LABEL_MAP = "labels"
"""Stem of the label map that reconstructions have beside their meshes."""


@dataclass(frozen=True, slots=True)
class HeartSource:
    """Where a heart comes from and what its ids or file names mean.

    Attributes:
        name: The heart's name.
        path: File, or folder (kinds ``masks`` and ``meshes``).
        kind: What is there.
        label_set: What ids and file names mean.
        space: Axes of meshes and points, ``lps`` or ``ras``, where their files do not say.
    """

    name: str
    path: Path
    kind: Kind
    label_set: LabelSet
    space: str = "lps"

    def files(self) -> tuple[Path, ...]:
        """Every file that the heart is made of, sorted.

        Raises:
            InputError: A folder's files cannot be told apart or are called as no structure.
        """
        named = self.kind in ("masks", "meshes")
        found = list(self._by_structure().values()) if named else [self.path]
        return tuple(sorted(file for path in found for file in (path, *_detached(path))))

    def sha256(self) -> str:
        """Hash of the files' contents; in folders of their names too, and of what decides places.

        The hash of a label map in one file is that of the file.
        """
        digest = hashlib.sha256()
        for file in self.files():
            if self.path.is_dir():
                digest.update(file.relative_to(self.path).as_posix().encode() + b"\0")
            with open(file, "rb") as stream:
                while chunk := stream.read(1 << 22):
                    digest.update(chunk)
        if self.kind in ("meshes", "points"):
            digest.update(self.space.lower().encode())
        return digest.hexdigest()

    def annotated(self) -> tuple[str, ...] | None:
        """Structures that the heart's files annotate, in the label set's order.

        A structure with a file of its own is annotated, empty or not. None for kinds whose files do
        not say it.
        """
        if self.kind not in ("masks", "meshes"):
            return None
        named = self._by_structure()
        return tuple(name for name in self.label_set.structures if name in named)

    def label_map(self, structures: tuple[str, ...]) -> LabelMap:
        """The heart's label map, of kinds ``label map`` and ``masks``.

        Returns:
            Labels 1…K in the order of ``structures``.

        Raises:
            InputError: It cannot be read, holds none of the structures or ids that the label set
                does not know, is a single slice, or the heart is of another kind.
        """
        if self.kind == "label map":
            label_map = read_label_map(self.path).to_structures(
                self.label_set, structures, str(self.path)
            )
        elif self.kind == "masks":
            label_map = read_masks(self._of_structures(structures), structures)
            if left_out := self._left_out():
                remark = f"{', '.join(left_out)}: left out, not in label set {self.label_set.name}"
                label_map = replace(label_map, remarks=(*label_map.remarks, remark))
        else:
            raise self._is_no("a label map")
        _check_thick(label_map, self.path)
        return label_map

    def surfaces(self, structures: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
        """The structures' closed surfaces, of kind ``meshes``.

        Returns:
            Per structure its vertices ``[V, 3]`` float64, RAS+ mm, and faces ``[F, 3]`` int64 that
            look outwards; empty arrays for a structure without a file.

        Raises:
            InputError: A mesh cannot be read or is not closed, or the heart is of another kind.
        """
        if self.kind != "meshes":
            raise self._is_no("surfaces")
        files = self._of_structures(structures)
        absent = (np.empty((0, 3)), np.empty((0, 3), np.int64))
        return [read_mesh(files[n], self.space) if n in files else absent for n in structures]

    def points(self, structures: Sequence[str]) -> LabelledPoints:
        """The labelled surface points, of kind ``points``.

        Raises:
            InputError: The file holds no usable points, or the heart is of another kind.
        """
        if self.kind != "points":
            raise self._is_no("labelled points")
        return read_points(self.path, structures, self.label_set, self.space)

    def _is_no(self, wanted: str) -> InputError:
        return InputError(
            f"{self.path}: holds {_KINDS[self.kind]}; this needs {wanted}, so give another input"
        )

    def _of_structures(self, structures: Sequence[str]) -> dict[str, Path]:
        files = {name: f for name, f in self._by_structure().items() if name in structures}
        if not files:
            raise InputError(
                f"{self.path}: none of its files is called as {', '.join(structures)}; name each "
                "file after its structure, as in LV.nii.gz"
            )
        return files

    def _by_structure(self) -> dict[str, Path]:
        """Structure of the label set → file in the folder."""
        is_mine, is_other = (is_image, is_mesh) if self.kind == "masks" else (is_mesh, is_image)
        files = visible(self.path)
        if others := [f.name for f in files if is_other(f) and stem(f).lower() != OWN_LABEL_MAP]:
            raise InputError(
                f"{self.path}: holds meshes and images ({others[0]} and others); give each kind a "
                "folder of its own"
            )
        named: dict[str, Path] = {}
        unknown: list[str] = []
        for file in filter(is_mine, files):
            name = find_structure(stem(file))
            if name in named:
                raise InputError(
                    f"{file}: {named[name].name} is {name} too; keep one file per structure"
                )
            if name in self.label_set.structures:
                named[name] = file
            elif not self.label_set.drop_others:
                unknown.append(stem(file))
        if unknown:
            raise self._unknown(unknown, list(named))
        return named

    def _left_out(self) -> list[str]:
        """Structures that have a file but no place in a label set that drops others."""
        called = {find_structure(stem(f)) for f in visible(self.path) if is_image(f)}
        return sorted(name for name in called if name and name not in self.label_set.structures)

    def _unknown(self, words: list[str], named: list[str]) -> InputError:
        outside = [name for name in map(find_structure, words) if name]
        hint = label_set_hint([*named, *outside], others=len(outside) < len(words))
        if len(words) == 1:
            try:
                self.label_set.structure_named(words[0])
            except InputError as error:
                why = str(error)
        else:
            shown = ", ".join(words[:5]) + (f" and {len(words) - 5} more" if words[5:] else "")
            why = f"label set {self.label_set.name} has no {shown}; rename these files"
        return InputError(f"{self.path}: {why}, or move them away, or try --labels{hint}")


_KINDS = {
    "label map": "a label map",
    "masks": "masks",
    "meshes": "surface meshes",
    "npz": "samples",
    "samples": "samples",
    "points": "labelled points",
}


def stem(path: Path) -> str:
    """The file's name without its ending (``.nii.gz``, ``.vtp`` …); any other name whole."""
    for ending in ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.name


def visible(folder: Path) -> list[Path]:
    """What is directly in a folder, sorted, without hidden entries.

    Raises:
        InputError: The folder may not be read.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be looked into: {error.strerror}") from error


def _detached(path: Path) -> tuple[Path, ...]:
    """Files with the voxels of a header file."""
    if not is_image(path) or path.name.lower().endswith(NIFTI_ENDINGS):
        return ()
    from vecsetx.formats import itk  # a third of a second that NIfTI files do not need

    return itk.data_files(path)


def _check_thick(label_map: LabelMap, path: Path) -> None:
    in_ij, in_jk = np.any(label_map.labels, axis=2), np.any(label_map.labels, axis=0)
    for axis, seen in enumerate((np.any(in_ij, axis=1), np.any(in_ij, axis=0), np.any(in_jk, 0))):
        found = np.flatnonzero(seen)
        if len(found) and found[-1] == found[0]:
            raise InputError(
                f"{path}: a single slice; its labels are one voxel thick along axis {'ijk'[axis]}, "
                "which encloses nothing: give the whole stack"
            )
