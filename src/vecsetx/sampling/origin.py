"""Where a heart's samples come from, as their file records it."""

from dataclasses import dataclass
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet


@dataclass(frozen=True, slots=True)
class Origin:
    """The files of a heart and their meaning.

    Attributes:
        name: The heart's name.
        kind: Kind of source, as ``dataset.json`` stores it: ``label map``, ``masks``, ….
        path: The file or folder.
        sha256: Hash of the files' contents.
        label_set: The structures that the files' ids or names stand for.
    """

    name: str
    kind: str
    path: Path
    sha256: str
    label_set: LabelSet
