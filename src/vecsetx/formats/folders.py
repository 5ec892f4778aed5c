"""File names of hearts: their extensions, and folders with one file per structure."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet, label_set_hint
from vecsetx.anatomy.structures import find_structure, is_other_organ, structure
from vecsetx.errors import InputError
from vecsetx.formats.images import IMAGE_ENDINGS, ITK_ENDINGS, is_image
from vecsetx.formats.itk.headers import data_files
from vecsetx.formats.meshes import MESH_ENDINGS, is_mesh
from vecsetx.formats.nifti_pairs import header_beside, is_pair, pair_files
from vecsetx.formats.own_results import RECONSTRUCTION, Guessed, guessed_in

__all__ = [
    "SAMPLES_ENDING",
    "StructureFiles",
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

_MANY_UNKNOWN = 3
"""As many unknown names as this may be another tool's, whose label set leaves them out."""

_OWN_LABEL_MAPS, _OWN_WALLS = ("labels", "inferred"), "interfaces"
"""Stems of the label maps, and of the mesh of all walls, that ``vecsetx reconstruct`` writes beside
the meshes of structures."""


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
    return (path, *data_files(path))


@dataclass(frozen=True, slots=True)
class StructureFiles:
    """The files of a folder that are named after structures.

    Attributes:
        folder: The folder.
        label_set: The structures wanted.
        chosen: Whether the user chose it.
        files: Structure → file.
        outside: Structure → file, of those that are not in the label set, sorted.
        dropped: File names, without extensions, that the label set drops.
        organs: File names, without extensions, that name other organs.
        unknown: File names, without extensions, that name nothing known; only with
            ``drop_others``.
        guessed: What of the folder's structures a model has inferred; those that are so as a whole
            are left out.
    """

    folder: Path
    label_set: LabelSet
    chosen: bool
    files: dict[str, Path]
    outside: dict[str, Path]
    dropped: tuple[str, ...]
    organs: tuple[str, ...]
    unknown: tuple[str, ...]
    guessed: Guessed

    def of(self, structures: Collection[str]) -> dict[str, Path]:
        """Return structure → file for the given structures.

        Raises:
            InputError: None of them has a file.
        """
        wanted = {name: file for name, file in self.files.items() if name in structures}
        if not wanted:
            raise InputError(
                f"{self.folder}: none of its files is named after {', '.join(structures)}; "
                + (
                    self.left_out()
                    or self.left_out_as_inferred()
                    or "name each file after its structure, as in LV.nii.gz"
                )
            )
        return wanted

    def annotated(self, known: Collection[str]) -> tuple[str, ...]:
        """Return the structures of ``known`` that have a file, in the label set's order."""
        return tuple(n for n in self.label_set.structures if n in self.files and n in known)

    def left_out(self) -> str:
        """Return which structures are left out, and how to read them; empty if none is."""
        if not self.outside:
            return ""
        how = " (to read them, give --labels a label set that has them)" if self.chosen else ""
        names = ", ".join(self.outside)
        return f"{names}: left out, not in label set {self.label_set.name}{how}"

    def left_out_as_inferred(self) -> str:
        """Return which structures a model inferred, and how to read them; empty if none is."""
        if not self.guessed.whole:
            return ""
        return (
            f"{', '.join(self.guessed.whole)}: left out, inferred by vecsetx reconstruct, not "
            "observed (to read such a mesh all the same, move it into another folder)"
        )

    def remarks(self) -> tuple[str, ...]:
        """Return remarks on the files that are left out."""
        ours = RECONSTRUCTION if self.guessed.is_result else ""
        remarks = [self.left_out(), ours, self.guessed.partly, self.left_out_as_inferred()]
        for words, why in (
            (self.dropped, f"dropped by label set {self.label_set.name}"),
            (self.organs, "organs other than the heart"),
            (self.unknown, "no structure has these names"),
        ):
            if words:
                shown = ", ".join(words[:3]) + (", …" if words[3:] else "")
                files = "files" if words[1:] else "file"
                remarks.append(f"left out {len(words)} {files} ({shown}): {why}")
        return tuple(filter(None, remarks))


def structure_masks(folder: Path, label_set: LabelSet, chosen: bool = True) -> StructureFiles:
    """Return the masks in a folder by structure; see :func:`structure_meshes`."""
    return _structure_files(folder, label_set, chosen, is_image, is_mesh)


def structure_meshes(folder: Path, label_set: LabelSet, chosen: bool = True) -> StructureFiles:
    """Return the meshes in a folder that are named after structures.

    Args:
        folder: The folder.
        label_set: The structures to find. Files of other structures and other organs are left out,
            and those whose names it drops.
        chosen: Whether the user chose it, and may choose another.

    Raises:
        InputError: The folder holds both meshes and images, two files of one structure, an
            unfinished reconstruction, or, unless the label set has ``drop_others``, a file whose
            name is unknown.
    """
    found = _structure_files(folder, label_set, chosen, is_mesh, is_image)
    guessed = guessed_in(folder)
    observed = {name: file for name, file in found.files.items() if name not in guessed.whole}
    left_out = tuple(name for name in found.files if name not in observed)
    return replace(found, files=observed, guessed=guessed._replace(whole=left_out))


def _structure_files(
    folder: Path,
    label_set: LabelSet,
    chosen: bool,
    is_wanted: Callable[[Path], bool],
    is_other: Callable[[Path], bool],
) -> StructureFiles:
    """Return the files of the wanted kind; raise as :func:`structure_meshes` does."""
    files = visible(folder)
    if others := [f.name for f in files if is_other(f) and stem(f).lower() not in _OWN_LABEL_MAPS]:
        raise InputError(
            f"{folder}: holds both meshes and images (such as {others[0]}); move each kind into a "
            "folder of its own"
        )
    found: dict[str, Path] = {}
    outside: dict[str, Path] = {}
    walls = {file for file in files if is_mesh(file) and stem(file).lower() == _OWN_WALLS}
    wanted = [file for file in files if is_wanted(file) and file not in walls]
    dropped = tuple(stem(file) for file in wanted if label_set.drops(stem(file)))
    unnamed: list[str] = []
    for file in wanted:
        name = find_structure(stem(file))
        if stem(file) in dropped:
            continue
        if name is None:
            unnamed.append(stem(file))
        elif name not in label_set.structures:
            outside[name] = file
        elif name in found:
            raise InputError(
                f"{file}: {found[name].name} is also {name}; keep one file per structure"
            )
        else:
            found[name] = file
    organs = tuple(word for word in unnamed if is_other_organ(word))
    unknown = tuple(word for word in unnamed if not is_other_organ(word))
    if unknown and not label_set.drop_others:
        hearts = is_image(wanted[0]) and len({*found, *outside}) == 1
        raise _unknown(folder, unknown, {*found, *outside}, hearts)
    outside = dict(sorted(outside.items()))
    left_out = outside, dropped, organs, unknown
    return StructureFiles(folder, label_set, chosen, found, *left_out, Guessed())


def _unknown(
    folder: Path, words: Sequence[str], found: Iterable[str], may_be_hearts: bool
) -> InputError:
    """Return the error for file names that are neither structures nor organs, with a remedy.

    Args:
        folder: The folder.
        words: The names.
        found: Structures that have a file.
        may_be_hearts: Whether each file may be a heart of its own.
    """
    shown = ", ".join(words[:5]) + (f" and {len(words) - 5} more" if words[5:] else "")
    why = f"no structure is named {shown}; rename these files"
    if len(words) == 1:
        try:
            structure(words[0])
        except InputError as error:  # suggests the structure that may be meant
            why = f"{error}{'' if str(error).endswith('?') else '.'} Rename this file"
    # A label set with all the structures found, which leaves out what it does not name.
    hint = label_set_hint(found, others=True)
    what = "it" if len(words) == 1 else "them"
    few = len(words) < _MANY_UNKNOWN or "FILE.yaml" in hint
    also = "" if few else f", or leave {what} out by --labels{hint}"
    if may_be_hearts:
        also += f"; if each file is a heart of its own, give the files: {folder}/*"
    return InputError(
        f"{folder}: {why}, or move {what} away, or name {what} under 'drop' in --labels FILE.yaml"
        f"{also}"
    )
