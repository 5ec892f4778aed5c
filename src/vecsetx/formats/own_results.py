"""Results of ``vecsetx reconstruct`` as inputs: which of their structures a model has inferred."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib

from vecsetx.anatomy.structures import structure_names
from vecsetx.errors import InputError
from vecsetx.plain_data import PlainDataError, read_json

__all__ = [
    "OBSERVED_SHARE",
    "Guessed",
    "guessed_in",
    "inferred_extension",
    "inferred_in_extensions",
    "inferred_remark",
]

_SUMMARY = "summary.json"

OBSERVED_SHARE = 0.9
"""Of a structure with a smaller share of observed surface, a good part is inferred. The scan's edge
cuts the great vessels of most hearts, and what is missing there is less."""

_COMMENT = 6  # the code of plain text in the NIfTI registry
_INFERRED = "VecSetX inferred: "
_NAME = re.compile(r"[\w-]{1,40}")


class Guessed(NamedTuple):
    """Structures that a model has inferred.

    Attributes:
        whole: Names of those that were not observed at all, sorted.
        partly: Remark on those of which a good part was not observed; empty if there are none.
    """

    whole: tuple[str, ...] = ()
    partly: str = ""


def guessed_in(folder: Path) -> Guessed:
    """Read which structures a folder's ``summary.json`` calls inferred.

    Args:
        folder: Any folder; another program's ``summary.json`` says nothing.

    Raises:
        InputError: The folder is of a reconstruction that was stopped, or its summary is damaged.
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
    )


def inferred_remark(structures: Sequence[str]) -> tuple[str, ...]:
    """Return the remark on structures of a file that a model has inferred; none without any."""
    if not structures:
        return ()
    return (f"{', '.join(structures)}: inferred by vecsetx reconstruct, not observed",)


def inferred_extension(structures: Sequence[str]) -> Any:
    """Return a NIfTI header extension that says which structures of a label map are inferred."""
    return nib.nifti1.Nifti1Extension(_COMMENT, f"{_INFERRED}{', '.join(structures)}".encode())


def inferred_in_extensions(extensions: Iterable[Any]) -> tuple[str, ...]:
    """Return the remark on inferred structures that a NIfTI header's extensions name; or none."""
    for extension in extensions:
        raw = extension.content
        if extension.get_code() == _COMMENT and raw.startswith(_INFERRED.encode()):
            words = raw[:1000].decode("utf-8", "replace").removeprefix(_INFERRED).strip("\0 ")
            return inferred_remark([word for word in words.split(", ") if _NAME.fullmatch(word)])
    return ()
