"""Structures that hearts lack: absent, or not annotated? Label maps do not say."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import MasksSource, MeshesSource

__all__ = ["annotation_remarks"]

_FILE_PER_STRUCTURE = (MasksSource.kind, MeshesSource.kind)
"""Kinds of sources whose files say what is annotated."""

_NAMED = 3
"""Number of hearts, or label sets, that are named."""


def annotation_remarks(dataset: DataSet, found: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Say which structures count as not annotated, and which as absent, with what changes it.

    Args:
        dataset: The data set.
        found: Heart → structures that it has, of the hearts to speak of.
    """
    hearts = [heart for heart in dataset.hearts if heart.kind not in _FILE_PER_STRUCTURE]
    unknown: dict[str, list[str]] = {}
    for name in dict.fromkeys(heart.label_set for heart in hearts):
        of_set = [heart.annotated for heart in dataset.hearts if heart.label_set == name]
        for structure in dict.fromkeys(dataset.label_sets[name]["ids"].values()):
            if not any(structure in annotated for annotated in of_set):
                unknown.setdefault(structure, []).append(name)
    if unknown:
        yield (
            f"no heart has {_listed(unknown, 'label set ')}: taken as not annotated. If the hearts "
            "truly lack a structure, prepare them into another --out, and name all structures with "
            "--structures"
        )
    absent: dict[str, list[str]] = {}
    for heart in hearts:
        for structure in heart.annotated:
            if structure not in found.get(heart.name, heart.annotated):
                absent.setdefault(structure, []).append(heart.name)
    if absent:
        yield (
            f"some hearts lack {_listed(absent, '')}: taken as absent there. If it was not "
            "annotated there, prepare these hearts after the others, into another --out, with a "
            "label set that lacks it (docs/data.md, “Absent or not annotated”)"
        )


def _listed(places: Mapping[str, Sequence[str]], before: str) -> str:
    """Return structures with where they are lacking; those lacking in the same places share it."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for structure, where in places.items():
        groups.setdefault(tuple(where), []).append(structure)
    return "; ".join(
        f"{', '.join(structures)} ({before}{', '.join(where[:_NAMED])}"
        + (f" and {len(where) - _NAMED} more)" if len(where) > _NAMED else ")")
        for where, structures in groups.items()
    )
