"""Pairs of files: a header, and a file ``.img`` with its voxels beside it, under the same name.

NIfTI and its predecessor Analyze 7.5 keep images so; either of the two files names the image.
"""

from pathlib import Path

from vecsetx.errors import InputError
from vecsetx.formats.beside import check_beside

__all__ = ["PAIR_ENDINGS", "header_beside", "is_pair", "pair_files"]

_HEADERS = (".hdr.gz", ".hdr")
_VOXELS = (".img.gz", ".img")
PAIR_ENDINGS = _HEADERS + _VOXELS
"""File extensions of both files of a NIfTI pair; longer ones before their suffixes."""

_OTHER_HEADERS = (".nhdr", ".mhd")  # NRRD and MetaImage may keep their voxels in an .img, too


def is_pair(path: Path) -> bool:
    """Return whether the file has the extension of one of the two files of a NIfTI pair."""
    return path.name.lower().endswith(PAIR_ENDINGS)


def pair_files(path: Path) -> tuple[Path, Path]:
    """Return the header and the file with the voxels of the pair that ``path`` is one of.

    Raises:
        InputError: The other file is missing, or there are two of it (``.img`` and ``.img.gz``),
            or the voxels are a link that leads out of the header's folder.
    """
    is_header = path.name.lower().endswith(_HEADERS)
    others = _beside(path, _VOXELS if is_header else _HEADERS)
    if not others:
        what = "voxels are in" if is_header else "header is"
        missing = _stem(path) + (".img" if is_header else ".hdr")
        raise InputError(f"{path}: its {what} {missing}, which is missing; copy that file, too")
    if len(others) > 1:
        names = " and ".join(other.name for other in others)
        raise InputError(f"{path}: {names} both belong to it; keep the right one")
    header, voxels = (path, others[0]) if is_header else (others[0], path)
    check_beside(voxels, header)
    return header, voxels


def header_beside(path: Path) -> Path | None:
    """Return the header that lies beside a file of voxels (``.img``); None for all other files.

    It may be one of NIfTI, NRRD or MetaImage.
    """
    if not path.name.lower().endswith(_VOXELS):
        return None
    return next(iter(_beside(path, _HEADERS + _OTHER_HEADERS)), None)


def _beside(path: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the files with the same stem and one of these extensions, in lower or upper case."""
    for cased in (str.lower, str.upper):
        files = [path.with_name(_stem(path) + cased(ending)) for ending in endings]
        if found := [file for file in files if file.is_file()]:
            return found
    return []


def _stem(path: Path) -> str:
    ending = next(ending for ending in PAIR_ENDINGS if path.name.lower().endswith(ending))
    return path.name[: -len(ending)]
