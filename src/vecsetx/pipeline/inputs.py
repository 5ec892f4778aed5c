"""Finding label maps: files and folders named by the user become named hearts."""

import re
from collections.abc import Sequence
from pathlib import Path

from vecsetx.errors import InputError

_ENDINGS = (".nii.gz", ".nii")


def find_label_maps(inputs: Sequence[Path]) -> dict[str, Path]:
    """Heart name → label map file, sorted by name.

    A folder stands for all NIfTI files directly inside it. A heart is called as its file is,
    without the ending.

    Raises:
        InputError: An input does not exist or is no NIfTI file, a folder holds none, or two files
            would give hearts of one name.
    """
    hearts: dict[str, Path] = {}
    for path in (file for given in inputs for file in _files_of(given)):
        name = heart_name(path)
        if name in hearts and hearts[name].resolve() != path.resolve():
            raise InputError(f"{path}: {hearts[name]} has the same name; rename one of the two")
        hearts[name] = path
    return dict(sorted(hearts.items()))


def heart_name(path: Path) -> str:
    """The file's name without ``.nii`` or ``.nii.gz``."""
    for ending in _ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    raise InputError(f"{path}: is no NIfTI file; label maps end in .nii or .nii.gz")


def patients_of(names: Sequence[str], group_by: str | None) -> dict[str, str]:
    """Heart name → patient.

    Args:
        names: The hearts' names.
        group_by: A regular expression; what its first group (or, without groups, the whole
            expression) matches in a name is the patient. None: every heart is a patient of its own.

    Raises:
        InputError: The expression is invalid or does not match a name.
    """
    if group_by is None:
        return {name: name for name in names}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(f"--group-by {group_by!r}: no regular expression: {error}") from error
    patients = {}
    for name in names:
        match = pattern.search(name)
        patient = match and match[1 if pattern.groups else 0]
        if not patient:
            raise InputError(f"--group-by {group_by!r}: finds no patient in heart {name!r}")
        patients[name] = patient
    return patients


def _files_of(given: Path) -> list[Path]:
    if given.is_dir():
        files = [f for f in sorted(given.iterdir()) if f.name.lower().endswith(_ENDINGS)]
        if not files:
            raise InputError(f"{given}: holds no NIfTI files (.nii, .nii.gz)")
        return files
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    return [given]
