"""Results of ``vecsetx reconstruct`` as inputs: which of their structures a model has inferred."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vecsetx.anatomy.structures import structure_names
from vecsetx.errors import InputError
from vecsetx.plain_data import PlainDataError, read_json
from vecsetx.schemas import SUMMARY, check_schema, schema_of

__all__ = [
    "OBSERVED_SHARE",
    "RECONSTRUCTION",
    "Guessed",
    "guessed_in",
    "inferred_remark",
    "reconstruction_extension",
    "remarks_in_extensions",
]

_SUMMARY = "summary.json"
OBSERVED_SHARE = 0.9
"""Of a structure with a smaller share of observed surface, a good part is inferred. The scan's edge
cuts the great vessels of most hearts, and what is missing there is less."""

_COMMENT = 6  # the code of plain text in the NIfTI registry
_WRITTEN = "VecSetX reconstruction; inferred: "
_NAME = re.compile(r"([\w-]{1,40})(?: (\d{1,3})%)?")

RECONSTRUCTION = "a reconstruction by vecsetx, not a segmentation"
"""Remark on what ``vecsetx reconstruct`` wrote: scores against it tell how alike models are."""


class Guessed(NamedTuple):
    """Structures that a model has inferred.

    Attributes:
        whole: Names of those that were not observed at all, sorted.
        partly: Remark on those of which a good part was not observed; empty if there are none.
        is_result: Whether ``vecsetx reconstruct`` wrote the folder.
    """

    whole: tuple[str, ...] = ()
    partly: str = ""
    is_result: bool = False


def guessed_in(folder: Path) -> Guessed:
    """Read which structures a folder's ``summary.json`` calls inferred.

    Args:
        folder: Any folder; another program's ``summary.json`` says nothing.

    Raises:
        InputError: The reconstruction was stopped, or its summary is damaged or of another schema.
    """
    try:
        content = read_json(folder / _SUMMARY)
    except (OSError, InputError):
        return Guessed()
    except PlainDataError as error:
        raise InputError(
            f"{folder / _SUMMARY}: cannot be read ({error}), so it cannot tell which structures "
            "were inferred; run vecsetx reconstruct again, or move it away if all were observed"
        ) from error
    if not isinstance(content, Mapping):
        return Guessed()
    if content.get("unfinished") is True:
        raise InputError(
            f"{folder}: a reconstruction that was stopped; run vecsetx reconstruct again"
        )
    structures = content.get("structures")
    found = {
        str(name): one
        for name, one in (structures.items() if isinstance(structures, Mapping) else ())
        if isinstance(one, Mapping) and name in structure_names()
    }
    if found and "provenance" in content:
        check_schema(folder / _SUMMARY, schema_of(content), SUMMARY, "reconstruct the heart again")
    partly = {
        name: share
        for name, one in found.items()
        if one.get("observed") is True
        and isinstance(share := one.get("observed_share"), float)
        and 0 <= share < OBSERVED_SHARE
    }
    listed = ", ".join(f"{name} ({1 - share:.0%})" for name, share in partly.items())
    return Guessed(
        tuple(sorted(name for name, one in found.items() if one.get("observed") is False)),
        f"inferred in part by vecsetx reconstruct: {listed}" if partly else "",
        bool(found) and "provenance" in content,
    )


def inferred_remark(inferred: Mapping[str, float]) -> tuple[str, ...]:
    """Return the remark on structures of a file that a model has inferred; none without any.

    Args:
        inferred: Structure → inferred share of its voxels or surface. Small shares are left out.
    """
    listed = _listed(inferred, "{} ({:.0%})")
    return (f"inferred by vecsetx reconstruct, taken as observed here: {listed}",) if listed else ()


def reconstruction_extension(inferred: Mapping[str, float]) -> Any:
    """Return a NIfTI header extension that says what of a label map is inferred.

    Args:
        inferred: Structure → inferred share of its voxels. Small shares are left out.
    """
    import nibabel as nib

    text = _WRITTEN + _listed(inferred, "{} {:.0%}")
    return nib.nifti1.Nifti1Extension(_COMMENT, text.encode())


def remarks_in_extensions(extensions: Iterable[Any]) -> tuple[str, ...]:
    """Return the remarks on a reconstruction, if a NIfTI header's extensions say that it is one."""
    for extension in extensions:
        raw = extension.content
        if extension.get_code() == _COMMENT and raw.startswith(_WRITTEN.encode()):
            words = raw[:1000].decode("utf-8", "replace").removeprefix(_WRITTEN).strip("\0 ")
            named = filter(None, map(_NAME.fullmatch, words.split(", ")))
            inferred = {found[1]: int(found[2] or 100) / 100 for found in named}
            return (RECONSTRUCTION, *inferred_remark(inferred))
    return ()


def _listed(inferred: Mapping[str, float], form: str) -> str:
    """List structures of which a good part is inferred, with the share unless it is all."""
    return ", ".join(
        name if share == 1 else form.format(name, share)
        for name, share in inferred.items()
        if share > 1 - OBSERVED_SHARE
    )
