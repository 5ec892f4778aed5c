"""Headers of NRRD and MetaImage files: their fields, the files of voxels, and bounds for ITK."""

import os
import re
from glob import escape
from pathlib import Path

from vecsetx.errors import InputError
from vecsetx.formats.beside import check_beside
from vecsetx.limits import HEADER_BYTES, HEADER_LINES
from vecsetx.special_files import check_no_device

__all__ = [
    "check_meta_header",
    "check_nrrd_header",
    "data_files",
    "field_of",
    "is_nrrd",
    "other_units",
    "read_header",
]

_MOST_DATA_FILES = 4  # fields; a list of files is one field
_LONGEST_NRRD_LINE = 500  # in bytes; at 1000, ITK's reader writes beyond its buffers


def read_header(path: Path) -> tuple[list[str], int]:
    """Return the header's lines, and the position of the first byte after them.

    Raises:
        InputError: It has more lines than any image needs.
    """
    head, end = _head(path)
    lines = head[:end].decode("utf-8", "replace").splitlines()
    if len(lines) > HEADER_LINES:
        raise InputError(
            f"{path}: its header has over {HEADER_LINES} lines, which no image needs; export it "
            "again"
        )
    return lines, end


def _head(path: Path) -> tuple[bytes, int]:
    """Return the first bytes of the file, and where the header ends in them."""
    check_no_device(path)
    with open(path, "rb") as file:
        head = file.read(HEADER_BYTES)
    if head.startswith(b"NRRD"):
        blank = re.search(rb"\n\r?\n", head)
        end = blank.end() if blank else len(head)
    else:
        local = re.search(rb"(?im)^[ \t]*ElementDataFile[ \t]*=[ \t]*LOCAL[^\n]*\n", head)
        end = local.end() if local else len(head)
    return head, end


def is_nrrd(lines: list[str]) -> bool:
    """Return whether a header is that of NRRD; otherwise it is read as MetaImage's."""
    return bool(lines) and lines[0].startswith("NRRD")


def field_of(lines: list[str], *keys: str) -> str | None:
    """Return the value of the first of ``keys`` found, or None.

    NRRD has lines ``key: value``, MetaImage ``Key = value``; a line ``key:=value`` of NRRD is for
    other programs.
    """
    for line in lines:
        ends = [place for sign in ":=#" if (place := line.find(sign)) >= 0]
        end = min(ends, default=0)
        if line[:end].strip().lower() in keys and line[end] != "#" and line[end : end + 2] != ":=":
            return line[end + 1 :].strip()
    return None


def data_files(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the voxels, if they are not in ``path`` itself.

    Raises:
        InputError: One of these files is missing, or lies in no folder at or below the header's.
    """
    lines, _ = read_header(path)
    keys = ("data file", "datafile", "elementdatafile")
    # Of several, it is ITK that decides which it reads: all have to be safe.
    names = [name for line in lines if (name := field_of([line], *keys))]
    if len(names) > _MOST_DATA_FILES:
        raise InputError(
            f"{path}: its header names its voxels' file {len(names)} times; keep one of the lines"
        )
    files = [file for name in names for file in _data_files(name, lines, path)]
    return tuple(dict.fromkeys(files))


def _data_files(name: str, lines: list[str], path: Path) -> list[Path]:
    if name.upper() == "LOCAL":
        return []
    if name.upper().startswith("LIST"):
        start = next(n for n, line in enumerate(lines) if line.upper().endswith(name.upper()))
        names = [line.strip() for line in lines[start + 1 :] if line.strip()]
        files = [path.parent / line for line in names]
    elif "%" in name:  # a printf pattern and the range of slices: ct%03d.raw 1 64 1
        check_beside(path.parent / name.split()[0], path)
        pattern = re.sub(r"(%\d*d)+", "*", escape(name.split()[0]))
        files = sorted(path.parent.glob(pattern))
    else:
        files = [path.parent / name]
    for file in files or [path.parent / name]:
        check_beside(file, path)
        if not os.path.isfile(file):  # false of names that are too long, too
            raise InputError(
                f"{path}: its voxels are in {file.name[:80]}, which is missing; copy that file, too"
            )
    return files


def check_nrrd_header(path: Path) -> None:
    """Check that no line or path is so long that ITK would write beyond a buffer to complain of it.

    Raises:
        InputError: One is, or the header has a zero byte, behind which ITK sees nothing.
    """
    for file in (path, *data_files(path)):
        if len(os.fsencode(file)) > _LONGEST_NRRD_LINE:
            raise InputError(
                f"{path}: the path of {file.name} has over {_LONGEST_NRRD_LINE} bytes; give a "
                "shorter path"
            )
    head, end = _head(path)
    if b"\0" in head[:end]:
        raise InputError(f"{path}: its header has a zero byte; copy or export it again")
    for number, line in enumerate(head[:end].split(b"\n"), start=1):
        # ITK takes any text behind these, in comments and in lines key:=value.
        is_free = line.startswith(b"#") or line.lower().startswith(b"content: ")
        is_free |= b":=" in line.partition(b": ")[0]
        if len(line) > _LONGEST_NRRD_LINE and not is_free:
            raise InputError(
                f"{path}, line {number}: has over {_LONGEST_NRRD_LINE} bytes; export it again"
            )
    lines, _ = read_header(path)
    for key, least in (("line skip", 0), ("byte skip", -1)):
        skipped = field_of(lines, key, key.replace(" ", "")) or "0"
        if not (_is_number(skipped) and float(skipped) >= least):
            raise InputError(
                f"{path}: {key}: {skipped} in its header fits no file of voxels; remove that line"
            )


# MetaImage: how many numbers a field has, as a power of the number of dimensions.
_META_POWERS = {
    "DimSize": 1, "ElementSpacing": 1, "ElementSize": 1, "Offset": 1, "Position": 1, "Origin": 1,
    "TransformMatrix": 2, "Rotation": 2, "Orientation": 2, "ElementNumberOfChannels": 0,
}  # fmt: skip
_META_SYNONYMS = (("Offset", "Position", "Origin"), ("TransformMatrix", "Rotation", "Orientation"))
_META_OTHERS = (
    "NDims", "ElementType", "ElementDataFile", "CompressedData", "CompressedDataSize", "BinaryData",
    "BinaryDataByteOrderMSB", "ElementByteOrderMSB", "HeaderSize", "DistanceUnits",
)  # fmt: skip
_META_KEYS = {key.lower(): key for key in (*_META_POWERS, *_META_OTHERS)}
"""The fields that matter, in lower case → as ITK spells them: it does not know them otherwise."""


def check_meta_header(path: Path) -> None:
    """Check a MetaImage header for what ITK crashes on, prints lines about, or misreads.

    Raises:
        InputError: A field is missing, there twice or misspelt, has another number of values than
            NDims implies, or gives lengths in another unit than mm.
    """
    lines, _ = read_header(path)
    fields = _meta_fields(lines, path)
    dimensions = fields.get("NDims")
    if dimensions not in ("2", "3", "4", "5"):
        raise InputError(
            f"{path}: its header gives NDims = {dimensions}, which no image has; correct it to 3"
        )
    for key in ("DimSize", "ElementType", "ElementDataFile"):
        if key not in fields:
            raise InputError(f"{path}: its header has no {key}; copy or export it again")
    for key, power in _META_POWERS.items():
        value, count = fields.get(key), int(dimensions) ** power
        words = (value or "").split()
        if value is not None and not (len(words) == count and all(map(_is_number, words))):
            raise InputError(
                f"{path}: {key} = {value} in its header does not fit NDims = {dimensions} (numbers "
                f"needed: {count}); repair the header"
            )
    for synonyms in _META_SYNONYMS:
        if len(given := [key for key in synonyms if key in fields]) > 1:
            raise InputError(
                f"{path}: its header has {' and '.join(given)}, which mean the same; keep one"
            )
    for key in ("CompressedData", "BinaryData"):  # ITK looks at the first letter alone
        if (value := fields.get(key, "True")).lower() not in ("true", "false"):
            raise InputError(
                f"{path}: {key} = {value} in its header is neither True nor False; correct it"
            )
    # ITK would take the header's own text for voxels, or skip some of them.
    skipped, local = fields.get("HeaderSize", "0"), fields["ElementDataFile"].upper() == "LOCAL"
    if skipped != "0" and (local or not (skipped == "-1" or skipped.isdecimal())):
        raise InputError(
            f"{path}: HeaderSize = {skipped} in its header fits no file of voxels; remove that line"
        )
    if (units := fields.get("DistanceUnits", "mm")).strip("?") not in ("mm", ""):
        raise other_units(units, path)


def _meta_fields(lines: list[str], path: Path) -> dict[str, str]:
    """Return a MetaImage header's fields, of which ElementDataFile is the last.

    Raises:
        InputError: A line is no field; or one that matters is there twice, or misspelt.
    """
    fields: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        key, separator, value = (part.strip() for part in line.partition("="))
        if not (separator and key) or ":" in key:
            raise InputError(f"{path}, line {number}: is no line Key = value; repair the header")
        known = _META_KEYS.get(key.lower(), key)
        if known != key or (key in fields and key in _META_KEYS.values()):
            problem = "is there twice" if known == key else f"is spelt {known}"
            raise InputError(f"{path}, line {number}: {key[:40]} {problem}; repair the header")
        fields[key] = value
        if key == "ElementDataFile":  # the names of files follow
            break
    return fields


def other_units(units: str, path: Path) -> InputError:
    """Return the error of a header that gives lengths in other units than mm."""
    return InputError(f"{path}: gives lengths in {units}, which is not supported; export it in mm")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
