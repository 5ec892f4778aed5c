"""File names of hearts: their extensions, and folders with one file per structure."""

from collections.abc import Callable, Iterable
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet, label_set_hint
from vecsetx.anatomy.structures import find_structure
from vecsetx.errors import InputError
from vecsetx.formats.images import IMAGE_ENDINGS, ITK_ENDINGS, is_image
from vecsetx.formats.meshes import MESH_ENDINGS, is_mesh
from vecsetx.formats.nifti_pairs import header_beside, is_pair, pair_files

__all__ = [
    "SAMPLES_ENDING",
    "masks_left_out",
    "stem",
    "structure_masks",
    "structure_meshes",
    "visible",
    "with_voxel_files",
]

SAMPLES_ENDING = ".safetensors"
"""Extension of a prepared heart's file."""

_ENDINGS = (*IMAGE_ENDINGS, *MESH_ENDINGS, ".npz", SAMPLES_ENDING, ".csv")
"""Extensions of all files that hearts are read from; longer ones before their suffixes."""

_OWN_LABEL_MAP = "labels"
"""Stem of the label map that ``vecsetx reconstruct`` writes beside its meshes."""


def stem(path: Path) -> str:
    """Return the file's name without its extension, such as ``.nii.gz``; other names unchanged."""
    for ending in _ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.name


def visible(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted, without hidden ones.

    A pair of files (``.hdr`` and ``.img``) is one image, so only its header is among them.

    Raises:
        InputError: The folder cannot be listed.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error
    return [entry for entry in entries if header_beside(entry) is None]


def with_voxel_files(path: Path) -> tuple[Path, ...]:
    """Return a file and, if it is a detached header, the files with its voxels.

    NRRD and MetaImage may have such headers, and a NIfTI pair has one.

    Raises:
        InputError: The header is unreadable, or it or a file with voxels is missing.
    """
    if is_pair(path):
        return pair_files(path)
    if not path.name.lower().endswith(ITK_ENDINGS):
        return (path,)
    from vecsetx.formats import itk  # here: slow to import, and NIfTI does not need it

    return (path, *itk.data_files(path))


def structure_masks(folder: Path, label_set: LabelSet) -> dict[str, Path]:
    """Return structure → mask for the masks in a folder; see :func:`structure_meshes`."""
    return _structure_files(folder, label_set, is_image, is_mesh)


def structure_meshes(folder: Path, label_set: LabelSet) -> dict[str, Path]:
    """Return structure → mesh for the meshes in a folder that are named after their structures.

    Args:
        folder: The folder.
        label_set: The structures to find. Files named after others are an error, unless the label
            set has ``drop_others``.

    Raises:
        InputError: The folder holds both meshes and images, two files of one structure, or a file
            that is not named after a structure of the label set.
    """
    return _structure_files(folder, label_set, is_mesh, is_image)


def masks_left_out(folder: Path, label_set: LabelSet) -> list[str]:
    """Return the structures, sorted, with a mask in the folder that are not in the label set."""
    named = {find_structure(stem(file)) for file in visible(folder) if is_image(file)}
    return sorted(name for name in named if name and name not in label_set.structures)


def _structure_files(
    folder: Path,
    label_set: LabelSet,
    is_wanted: Callable[[Path], bool],
    is_other: Callable[[Path], bool],
) -> dict[str, Path]:
    """Return structure → file of the wanted kind; raise as :func:`structure_meshes` does."""
    files = visible(folder)
    # Folders written by ``vecsetx reconstruct`` hold a label map beside the meshes.
    if others := [f.name for f in files if is_other(f) and stem(f).lower() != _OWN_LABEL_MAP]:
        raise InputError(
            f"{folder}: holds both meshes and images (such as {others[0]}); move each kind into a "
            "folder of its own"
        )
    found: dict[str, Path] = {}
    unknown: list[str] = []
    for file in filter(is_wanted, files):
        name = find_structure(stem(file))
        if name in found:
            raise InputError(
                f"{file}: {found[name].name} is also {name}; keep one file per structure"
            )
        if name in label_set.structures:
            found[name] = file
        elif not label_set.drop_others:
            unknown.append(stem(file))
    if unknown:
        raise _unknown(folder, label_set, unknown, found)
    return found


def _unknown(
    folder: Path, label_set: LabelSet, words: list[str], found: Iterable[str]
) -> InputError:
    """Return the error for file names that no structure of the label set has, with a remedy."""
    # Suggest a label set with all these structures, and with `drop_others` if a name is unknown.
    outside = [name for name in map(find_structure, words) if name]
    hint = label_set_hint([*found, *outside], others=len(outside) < len(words))
    if len(words) == 1:
        try:
            label_set.structure_named(words[0])
        except InputError as error:
            why = str(error)
    else:
        shown = ", ".join(words[:5]) + (f" and {len(words) - 5} more" if words[5:] else "")
        why = f"label set {label_set.name} has no {shown}; rename these files"
    return InputError(f"{folder}: {why}, or move them away, or try --labels{hint}")
