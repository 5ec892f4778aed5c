"""Tables that name a label map's ids: in NIfTI header extensions, or in a file beside the map.

======================  =========================  ==========================================
Table                   Where                      A line or an entry
======================  =========================  ==========================================
Caret ``LabelTable``    NIfTI header extension     ``<Label Key="3">LV</Label>``
BIDS                    ``NAME.tsv``               ``3<tab>LV`` under ``index<tab>name``
ITK-SNAP                ``NAME[.itksnap].txt``     ``3  222 45 62  1 1 1  "LV"``
                        ``NAME.label``
3D Slicer colour table  ``NAME.ctbl``, ``.txt``    ``3 LV 222 45 62 255``
======================  =========================  ==========================================

Connectome Workbench defines the first, and TotalSegmentator writes it (``--ml``).
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from vecsetx.anatomy.label_names import LabelNames
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import structure
from vecsetx.errors import InputError
from vecsetx.limits import TABLE_BYTES
from vecsetx.plain_data import PlainDataError, is_whole_number, parse_xml
from vecsetx.special_files import check_no_device

__all__ = [
    "label_extension",
    "names_beside",
    "names_in_extensions",
    "table_beside",
    "unread_beside",
]

_CARET = 30  # the code of Caret's XML in the NIfTI registry
_TABLES = (".tsv", ".itksnap.txt", ".label", ".txt", ".ctbl")
_ONLY_TABLES = (".tsv", ".label", ".ctbl")  # files with other endings may be anything

_SNAP = re.compile(r'(\d{1,9})\s+(?:[\d.]+\s+){6}"(.*)"')
_SLICER = re.compile(r"(\d{1,9})\s+(\S+)\s+(?:[\d.]+\s+){3}[\d.]+")


def names_in_extensions(extensions: Iterable[Any], path: Path) -> LabelNames | None:
    """Return the names in a NIfTI header's extensions; None if there are none.

    Raises:
        InputError: A label table is there, but cannot be read.
    """
    for extension in extensions:
        raw = extension.content  # not decoded: nibabel knows no decoder for Caret's code
        if b"<LabelTable" in raw:
            source = f"{path}: the names in its header"
            return LabelNames.of_pairs(_caret(raw.strip(b"\0 \r\n"), path), source)
    return None


def table_beside(path: Path, stem: str) -> Path | None:
    """Return the file beside a label map that may name its ids; None if there is none.

    Args:
        path: The label map.
        stem: Its name without extension, such as ``sub-01_dseg``.
    """
    return next((file for file in _beside(path, stem, _TABLES) if _kind(file)), None)


def unread_beside(path: Path, stem: str) -> list[Path]:
    """Return files beside a label map that look like tables of names, but are none we can read.

    Args:
        path: The label map.
        stem: Its name without extension.
    """
    return [file for file in _beside(path, stem, _ONLY_TABLES) if not _kind(file)]


def _beside(path: Path, stem: str, endings: Iterable[str]) -> list[Path]:
    spelt = (stem + spelling for ending in endings for spelling in (ending, ending.upper()))
    found = {name.lower(): file for name in spelt if (file := path.with_name(name)).is_file()}
    return list(found.values())


def names_beside(table: Path) -> LabelNames:
    """Return the names in a table file.

    Raises:
        InputError: The table cannot be read.
    """
    read = _bids if _kind(table) == "bids" else _lines
    try:
        return LabelNames.of_pairs(read(table), f"{table}: its names")
    except csv.Error as error:
        raise InputError(f"{table}: cannot be read as a table: {error}") from error


def label_extension(structures: Sequence[str], label_set: LabelSet) -> Any:
    """Return a NIfTI header extension with the names and colours of a label map's ids.

    Args:
        structures: Names of the structures in the label map.
        label_set: The label set that defines their ids.
    """
    import nibabel as nib

    root = ElementTree.Element("CaretExtension")
    volume = ElementTree.SubElement(root, "VolumeInformation", Index="0")
    table = ElementTree.SubElement(volume, "LabelTable")
    for label_id, name in sorted((label_set.id_of(name), name) for name in structures):
        red, green, blue = (f"{value / 255:.4g}" for value in structure(name).color)
        label = ElementTree.SubElement(
            table, "Label", Key=str(label_id), Red=red, Green=green, Blue=blue, Alpha="1"
        )
        label.text = name
    ElementTree.SubElement(volume, "VolumeType").text = "Label"
    content = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return nib.nifti1.Nifti1Extension(_CARET, content)


def _caret(raw: bytes, path: Path) -> Iterator[tuple[int, str]]:
    if len(raw) > TABLE_BYTES:
        raise InputError(
            f"{path}: the label table in its header is over 1 MB, so it is not read; remove the "
            "extension"
        )
    try:
        root = parse_xml(raw)
    except PlainDataError as error:
        raise InputError(
            f"{path}: the label table in its header cannot be read ({error}); remove the extension"
        ) from error
    for label in root.iter("Label"):
        key = label.get("Key", "")
        if not is_whole_number(key):
            raise InputError(
                f"{path}: the label table in its header has key {key!r}; keys are whole numbers"
            )
        yield int(key), label.text or ""


def _kind(file: Path) -> str | None:
    """Return which table a file is: ``bids``, ``lines``, or None if it is none."""
    text = _text(file)
    if text is None:
        return None
    if file.suffix.lower() == ".tsv":
        head = text.split("\n", 1)[0].lower().split("\t")
        return "bids" if {"index", "name"} <= {word.strip() for word in head} else None
    lines = _content(text)
    known = sum(bool(_SNAP.fullmatch(line) or _SLICER.fullmatch(line)) for line in lines)
    # Other texts may lie beside a label map, too.
    return "lines" if known and known >= len(lines) / 2 else None


def _bids(file: Path) -> Iterator[tuple[int, str]]:
    rows = csv.DictReader((_text(file) or "").splitlines(), delimiter="\t")
    for number, row in enumerate(rows, 2):
        entry = {str(key).strip().lower(): value for key, value in row.items()}
        index, name = (entry["index"] or "").strip(), (entry["name"] or "").strip()
        if not is_whole_number(index) or not name:
            raise InputError(
                f"{file}: line {number} has index {index!r} and name {name!r}; an index is a whole "
                "number, and every index has a name"
            )
        yield int(index), name


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    for line in _content(_text(file) or ""):
        snap, slicer = _SNAP.fullmatch(line), _SLICER.fullmatch(line)
        if snap:
            yield int(snap[1]), snap[2]
        elif slicer:
            yield int(slicer[1]), slicer[2].replace("_", " ")
        else:
            raise InputError(
                f"{file}: cannot read {line!r}; a line has an id, a name and a colour, in the form "
                "of ITK-SNAP or 3D Slicer"
            )


def _content(text: str) -> list[str]:
    lines: Iterable[str] = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _text(file: Path) -> str | None:
    """Return a file's text; None for large or binary files, which are no tables."""
    check_no_device(file)
    try:
        if file.stat().st_size > TABLE_BYTES:
            return None
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "latin-1"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None
