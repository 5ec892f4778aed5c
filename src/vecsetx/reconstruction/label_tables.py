"""Tables that name a label map's ids for other programs: 3D Slicer and ITK-SNAP."""

from collections.abc import Sequence
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import structure
from vecsetx.files import write_text

_SNAP_HEAD = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields: label index, red, green and blue (0..255), opacity (0..1),
# visible (0 or 1), mesh visible (0 or 1), name
################################################
    0     0    0    0        0  0  0    "Clear Label"
"""


def write_color_table(path: Path, structures: Sequence[str], label_set: LabelSet) -> None:
    """Write a 3D Slicer colour table (``.ctbl``): id, name, red, green, blue, opacity.

    Args:
        path: The file.
        structures: Names of the structures in the label map.
        label_set: The label set that defines their ids.
    """
    lines = ["# Color table file", "0 Background 0 0 0 0"]
    for label_id, name in _numbered(structures, label_set):
        lines.append(f"{label_id} {name} {' '.join(map(str, structure(name).color))} 255")
    write_text(path, "\n".join(lines) + "\n")


def write_label_descriptions(path: Path, structures: Sequence[str], label_set: LabelSet) -> None:
    """Write an ITK-SNAP label description file; arguments as for :func:`write_color_table`."""
    lines = []
    for label_id, name in _numbered(structures, label_set):
        red, green, blue = structure(name).color
        title = structure(name).title
        lines.append(f'{label_id:5d}{red:6d}{green:5d}{blue:5d}        1  1  1    "{title}"\n')
    write_text(path, _SNAP_HEAD + "".join(lines))


def _numbered(structures: Sequence[str], label_set: LabelSet) -> list[tuple[int, str]]:
    return sorted((label_set.id_of(name), name) for name in structures)
