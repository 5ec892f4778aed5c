"""What identifies a heart's input and how it is encoded, as plain data for records."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vecsetx.data.dataset import DataSet
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.sd_factor import SdFactor

__all__ = [
    "plain_encoding",
    "plain_entry",
    "plain_file",
    "plain_prepared",
    "plain_sd_factor",
    "plain_source",
]


def plain_source(source: HeartSource) -> dict[str, Any]:
    """Return all of a source that a result depends on: its files by their hash.

    Raises:
        InputError: A file is missing or unreadable.
    """
    return {
        "name": source.name,
        "kind": source.kind,
        "path": str(source.path.resolve()),
        "sha256": source.sha256(),
        "beside": list(source.beside()),
        "label_set": source.label_set.to_dict(),
        "chosen": source.chosen,
        "of_model": source.of_model,
        "space": source.space,
        "units": source.units,
        "trust_names": source.trust_names,
        "absent": list(source.absent),
        "most_voxels": source.most_voxels,
    }


def plain_entry(alone: DataSet) -> dict[str, Any]:
    """Return all of the only heart of a data set that a result from its source depends on.

    Raises:
        InputError: A file of the source is missing or unreadable.
    """
    (entry,) = alone.hearts
    label_set = dict(alone.label_sets[entry.label_set])
    source = plain_source(source_of(alone, entry))
    return {"entry": asdict(entry), "label_set": label_set, "source": source}


def plain_prepared(alone: DataSet) -> dict[str, Any]:
    """Return all of the only heart of a data set that a result from its samples depends on.

    Its source may be gone, or not be readable any more: that is part of what is returned.
    """
    (entry,) = alone.hearts
    source: Any
    try:
        source = plain_source(source_of(alone, entry))
    except (InputError, OSError) as error:
        source = str(error)
    return {
        "entry": asdict(entry),
        "label_set": dict(alone.label_sets[entry.label_set]),
        "structures": list(alone.structures),
        "samples": plain_file(alone.folder / entry.file),
        "source": source,
    }


def plain_file(file: Path) -> str | None:
    """Return the hash of a file; None if it cannot be read, which whoever reads it reports."""
    if not file.is_file():
        return None
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def plain_encoding(options: EncodeOptions) -> dict[str, Any]:
    """Return options of encoding."""
    label_set = options.label_set.to_dict() if options.label_set else None
    return asdict(replace(options, label_set=None)) | {"label_set": label_set}


def plain_sd_factor(factor: SdFactor | None) -> dict[str, Any] | None:
    """Return calibration factors with the names of the hearts that they were fitted to."""
    return None if factor is None else asdict(factor)
