"""nnU-Net data sets: folders with ``dataset.json``, and label maps in ``labelsTr/``.

Isensee et al., Nature Methods 2021, doi:10.1038/s41592-020-01008-z. Version 2 writes
``labels: {name: id}``, version 1 ``labels: {id: name}``.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vecsetx.anatomy.label_names import LabelNames
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.errors import InputError
from vecsetx.plain_data import PlainDataError, is_whole_number, read_json

_log = logging.getLogger(__name__)

_LABEL_MAPS = "labelsTr"
_IGNORE = "ignore"


def nnunet_around(path: Path) -> Path | None:
    """Return the nnU-Net data set that a path is, or to whose label maps it belongs.

    Raises:
        InputError: Its ``dataset.json`` is unreadable, or belongs to a prepared data set.
    """
    maps = path if path.is_dir() else path.parent
    folder = maps.parent if maps.name == _LABEL_MAPS else path
    is_nnunet = (folder / "dataset.json").is_file() and "labels" in _dataset(folder)
    return folder if is_nnunet else None


def nnunet_label_maps(folder: Path) -> list[Path]:
    """Return the paths of the data set's label maps, sorted.

    Raises:
        InputError: There are none.
    """
    ending = str(_dataset(folder).get("file_ending", ".nii.gz"))
    labels = folder / _LABEL_MAPS
    entries = sorted(labels.iterdir()) if labels.is_dir() else []
    files = [f for f in entries if f.name.endswith(ending) and not f.name.startswith(".")]
    if not files:
        raise InputError(f"{folder}: an nnU-Net data set whose labelsTr holds no *{ending} files")
    return files


def nnunet_label_set(folder: Path) -> LabelSet:
    """Return the label set that ``dataset.json`` describes, with its names resolved to structures.

    Voxels with the label ``ignore`` are unknown, and other organs are background. Regions of
    several ids are left out if each of their ids has a name of its own.

    Raises:
        InputError: An id is only part of regions or has two names, or a label does not name a
            known structure.
    """
    source = folder / "dataset.json"
    labels = _dataset(folder)["labels"]
    if not isinstance(labels, Mapping):
        raise InputError(f"{source}: 'labels' is a table of names and ids, not {labels!r}")
    words = {number: word for word, number in _single_labels(labels, source).items()}
    ignore = [number for number, word in words.items() if word.lower() == _IGNORE]
    named = LabelNames({i: words[i] for i in words if i not in ignore}, f"{source}: its labels")
    known = named.label_set(named.names)
    ids = {i: known.ids[i] for i in words if i in known.ids}  # in the order of the file
    drop = sorted(known.drop)
    name = folder.resolve().name
    return LabelSet.from_dict(
        {"name": name, "ids": ids, "drop": drop, "ignore": ignore}, str(source)
    )


def with_dropped_names(folder: Path, label_set: LabelSet) -> LabelSet:
    """Return a label set that also drops the ids whose names in ``dataset.json`` it drops.

    Raises:
        InputError: The label set has one of these ids.
    """
    source = folder / "dataset.json"
    labels = _dataset(folder)["labels"]
    entries = labels.items() if isinstance(labels, Mapping) else ()
    pairs = [_word_and_id(key, value) for key, value in entries]
    words = {int(str(number)): word for word, number in pairs if is_whole_number(str(number))}
    dropped = LabelNames(words, f"{source}: its labels").dropped_by(label_set)
    return replace(label_set, drop=label_set.drop | set(dropped))


def _word_and_id(key: str, value: Any) -> tuple[str, Any]:
    """Return the name and the id of an entry; of a region, its list of ids."""
    # Version 1 has ids as keys and names as values.
    word, number = (value, key) if isinstance(value, str) and is_whole_number(key) else (key, value)
    return word, number[0] if isinstance(number, list) and len(number) == 1 else number


def _single_labels(labels: Mapping[str, Any], source: Path) -> dict[str, int]:
    """Return name → id, without regions, of which a line is logged."""
    single: dict[str, int] = {}
    regions: dict[str, list[Any]] = {}
    for key, value in labels.items():
        word, one = _word_and_id(key, value)
        if isinstance(one, list) and one:
            regions[word] = one
            continue
        if isinstance(one, bool) or not is_whole_number(str(one)):
            raise InputError(f"{source}: {word!r} has id {one!r}; ids are whole numbers")
        if single.setdefault(str(word), int(str(one))) != int(str(one)):
            raise InputError(f"{source}: {word!r} names two ids; rename one of them")
    names: dict[int, str] = {}
    for word, number in single.items():
        if (other := names.setdefault(number, word)) != word:
            raise InputError(
                f"{source}: id {number} is named both {other!r} and {word!r}; remove one of the two"
            )
    within = {number for region in regions.values() for number in region}
    if unnamed := sorted(within - set(single.values()), key=str):
        raise InputError(
            f"{source}: ids {unnamed} are named only as parts of regions ({', '.join(regions)}); "
            "describe the single ids with --labels FILE.yaml"
        )
    if regions:
        _log.warning(
            "%s: regions left out, as each of their ids has a name of its own: %s",
            source,
            ", ".join(regions),
        )
    return single


def _dataset(folder: Path) -> dict[str, Any]:
    path = folder / "dataset.json"
    try:
        data = read_json(path)
    except (OSError, PlainDataError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: not an nnU-Net data set, which is a table with 'labels'")
    if "hearts" in data:
        raise InputError(
            f"{folder}: this is a prepared data set, not label maps; train on it, evaluate a model "
            "with it alone, or give the label maps that it was prepared from, or its hearts in "
            f"{folder / 'hearts'}"
        )
    return data
