"""Names of heart files: their endings, and folders with one file per structure."""

from collections.abc import Callable, Iterable
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet, label_set_hint
from vecsetx.anatomy.structures import find_structure
from vecsetx.errors import InputError
from vecsetx.formats.images import IMAGE_ENDINGS, NIFTI_ENDINGS, is_image
from vecsetx.formats.meshes import MESH_ENDINGS, is_mesh

SAMPLES_ENDING = ".safetensors"
"""Ending of a prepared heart's file."""

_ENDINGS = (*IMAGE_ENDINGS, *MESH_ENDINGS, ".npz", SAMPLES_ENDING, ".csv")
"""Endings of all files that hearts are read from. A longer ending precedes any that it ends in."""

_OWN_LABEL_MAP = "labels"
"""Stem of the label map that ``vecsetx reconstruct`` writes beside its meshes."""


def stem(path: Path) -> str:
    """The file's name without its ending (``.nii.gz``, ``.vtp`` …); any other name unchanged."""
    for ending in _ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.name


def visible(folder: Path) -> list[Path]:
    """The entries of a folder, sorted, without the hidden ones.

    Raises:
        InputError: The folder cannot be listed.
    """
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed: {error.strerror}") from error


def with_voxel_files(path: Path) -> tuple[Path, ...]:
    """A file, and the files with the voxels if it is an image's detached header (NRRD, MetaImage).

    Raises:
        InputError: The header is unreadable.
    """
    if not is_image(path) or path.name.lower().endswith(NIFTI_ENDINGS):
        return (path,)
    from vecsetx.formats import itk  # a third of a second that NIfTI files do not need

    return (path, *itk.data_files(path))


def structure_masks(folder: Path, label_set: LabelSet) -> dict[str, Path]:
    """Structure of the label set → its mask in a folder; see :func:`structure_meshes`."""
    return _structure_files(folder, label_set, is_image, is_mesh)


def structure_meshes(folder: Path, label_set: LabelSet) -> dict[str, Path]:
    """Structure of the label set → its mesh in a folder.

    Raises:
        InputError: The folder holds both meshes and images, two files of one structure, or a file
            whose name is no structure of the label set (unless the label set drops others).
    """
    return _structure_files(folder, label_set, is_mesh, is_image)


def masks_left_out(folder: Path, label_set: LabelSet) -> list[str]:
    """Structures, sorted, that have a mask in the folder but are not in the label set."""
    named = {find_structure(stem(file)) for file in visible(folder) if is_image(file)}
    return sorted(name for name in named if name and name not in label_set.structures)


def _structure_files(
    folder: Path,
    label_set: LabelSet,
    is_wanted: Callable[[Path], bool],
    is_other: Callable[[Path], bool],
) -> dict[str, Path]:
    files = visible(folder)
    # A folder of our own reconstruction holds a label map beside the meshes.
    if others := [f.name for f in files if is_other(f) and stem(f).lower() != _OWN_LABEL_MAP]:
        raise InputError(
            f"{folder}: holds meshes and images ({others[0]} and others); give each kind a folder "
            "of its own"
        )
    found: dict[str, Path] = {}
    unknown: list[str] = []
    for file in filter(is_wanted, files):
        name = find_structure(stem(file))
        if name in found:
            raise InputError(
                f"{file}: {found[name].name} is {name} too; keep one file per structure"
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
    """The error for file names that are no structures of the label set, with the likely remedy."""
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
