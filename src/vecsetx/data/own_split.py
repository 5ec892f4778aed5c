"""Splits that the user gives: in a CSV file, or by the folders that hearts are in."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.prepare_options import PrepareOptions
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.formats.folders import stem, visible
from vecsetx.formats.images import is_image
from vecsetx.special_files import check_no_device

__all__ = ["find_split_hearts", "folders_by_split", "given_splits", "read_split"]

_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Word for a split in a file or as a folder's name → split."""


def find_split_hearts(
    inputs: Sequence[Path], options: PrepareOptions, unsafe: dict[Path, str] | None = None
) -> tuple[dict[str, HeartSource], dict[str, Split]]:
    """Find the hearts to prepare, and the splits of those whose folder names one.

    Args:
        inputs: Files and folders; with ``split_by_folder`` as :func:`folders_by_split` takes them.
        options: The options.
        unsafe: See :func:`~vecsetx.data.find_hearts.find_hearts`.

    Returns:
        Heart → source, sorted by name; and heart → split, empty without ``split_by_folder``.

    Raises:
        InputError: See :func:`~vecsetx.data.find_hearts.find_hearts` and :func:`folders_by_split`;
            or two splits have a heart of the same name.
    """
    folders: Mapping[Split | None, Sequence[Path]] = {None: inputs}
    if options.split_by_folder:
        folders = dict(folders_by_split(inputs).items())
    else:
        _check_no_splits(inputs)
    hearts: dict[str, HeartSource] = {}
    splits: dict[str, Split] = {}
    for split, group in folders.items():
        found = find_hearts(
            group,
            None if options.labels_taken_over else options.label_set,
            options.space,
            options.units,
            options.label_set if options.labels_taken_over else None,
            options.trust_names,
            unsafe,
            options.most_voxels,
        )
        for name, heart in found.items():
            if name in hearts:
                raise InputError(
                    f"{heart.path}: {hearts[name].path}, in split {splits[name]}, has the same "
                    f"name; keep heart {name} in one split, or rename one of the two"
                )
            hearts[name] = replace(heart, absent=options.absent)
            if split:
                splits[name] = split
    return dict(sorted(hearts.items())), splits


def given_splits(
    before: DataSet | None,
    hearts: Collection[str],
    by_folder: Mapping[str, Split],
    patients: Mapping[str, str],
    options: PrepareOptions,
) -> dict[str, Split] | None:
    """Return each patient's split as the user gave it; None if splits are drawn at random.

    Args:
        before: The data set to which the hearts are added; None: there is none yet.
        hearts: Names of the hearts to prepare.
        by_folder: Heart → split, from :func:`find_split_hearts`.
        patients: Heart → patient, of these hearts.
        options: The options, as for this data set.

    Raises:
        InputError: See :func:`read_split`; a new heart has no split, one of the data set has
            another there, or a patient is in two splits.
    """
    known = {heart.name: heart for heart in before.hearts} if before else {}
    if not (options.own_split or (before and before.own_split)):
        return None
    new = [name for name in hearts if name not in known]
    splits = read_split(options.split, new, known) if options.split else dict(by_folder)
    if before and not options.own_split and new:
        raise InputError(
            f"{before.folder}: the splits of its hearts were given, and {', '.join(new)} would "
            "have none; give them by --split FILE.csv or --split-by-folder"
        )
    for name, split in splits.items():
        if before and name in known and known[name].split != split:
            raise InputError(
                f"heart {name}: is in split {known[name].split} of {before.folder}, and now in "
                f"{split}; hearts keep their split: give it that one, or choose another --out"
            )
    everyone = {heart.name: heart.patient for heart in known.values()} | dict(patients)
    kept = {heart.name: heart.split for heart in known.values()}
    return _of_patients({**kept, **splits}, everyone)


def read_split(
    file: Path, hearts: Collection[str], known: Collection[str] = ()
) -> dict[str, Split]:
    """Read each heart's split from a CSV file with the columns ``heart`` and ``split``.

    A heart is named as in the data set, or by its file's name. The words for splits are train, val
    and test, also training, valid, validation and testing. Further columns are ignored.

    Args:
        file: The file.
        hearts: Names of the hearts that need a split.
        known: Names of further hearts that the file may name.

    Returns:
        Heart → split, for the hearts that the file names.

    Raises:
        InputError: The file is unreadable or lacks a column, a line names no split, or a heart is
            unknown, missing or named twice.
    """
    splits: dict[str, Split] = {}
    unknown: list[str] = []
    for line, word, split in _lines(file):
        name = word if word in hearts or word in known else stem(Path(word))
        if name in splits:
            raise InputError(f"{file}: line {line} names heart {name} again; keep one of its lines")
        if split.lower() not in _SPLITS:
            raise InputError(
                f"{file}: line {line} has split {split!r} for heart {name}; use train, val or test"
            )
        splits[name] = _SPLITS[split.lower()]
        if name not in hearts and name not in known:
            unknown.append(word)
    missing = [name for name in hearts if name not in splits]
    wrong = [f"has no line for {', '.join(missing)}"] if missing else []
    wrong += [f"names {', '.join(unknown)}, not among the inputs"] if unknown else []
    if wrong:
        raise InputError(f"{file}: {'; '.join(wrong)}; name every heart of the inputs once")
    return splits


def folders_by_split(inputs: Sequence[Path]) -> dict[Split, list[Path]]:
    """Return the folders with the hearts of each split.

    Args:
        inputs: Folders named after a split (train, val, test; also training, valid, validation,
            testing), and folders that hold such ones and no other hearts.

    Raises:
        InputError: An input is neither, or has other hearts beside such folders.
    """
    found: dict[Split, list[Path]] = {}
    for given in inputs:
        for folder in [given] if _split_of(given) else _split_folders(given):
            found.setdefault(_SPLITS[folder.resolve().name.lower()], []).append(folder)
    return found


def _of_patients(splits: Mapping[str, Split], patients: Mapping[str, str]) -> dict[str, Split]:
    """Patient → split, of hearts' splits and patients.

    Raises:
        InputError: The hearts of a patient are in different splits.
    """
    first: dict[str, str] = {}
    for heart, split in splits.items():
        other = first.setdefault(patients[heart], heart)
        if splits[other] != split:
            raise InputError(
                f"patient {patients[heart]} is in two splits: heart {other} in {splits[other]}, "
                f"heart {heart} in {split}; put all hearts of a patient into one"
            )
    return {patient: splits[heart] for patient, heart in first.items()}


def _lines(file: Path) -> Iterator[tuple[int, str, str]]:
    """Yield each line's number, heart and split."""
    check_no_device(file)
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:  # Excel writes the mark
            rows = csv.DictReader(text)
            columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
            if not {"heart", "split"} <= columns.keys():
                raise InputError(
                    f"{file}: has columns {', '.join(columns) or '(none)'}; it needs heart and "
                    "split, separated by a comma"
                )
            for row in rows:
                heart, split = (row[columns[key]] or "" for key in ("heart", "split"))
                yield rows.line_num, heart.strip(), split.strip()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read as a CSV file: {error}") from error


def _check_no_splits(inputs: Sequence[Path]) -> None:
    """Refuse folders that hold nothing but folders named after splits."""
    for given in inputs:
        entries = visible(given) if given.is_dir() else []
        named = [entry for entry in entries if _split_of(entry)]
        hearts = [e for e in entries if e not in named and (e.is_dir() or is_image(e))]
        if len(named) > 1 and not hearts:
            names = ", ".join(folder.name for folder in named)
            raise InputError(
                f"{given}: holds the folders {names}; give --split-by-folder to take the hearts' "
                "splits from them, or give the folders themselves as inputs"
            )


def _split_of(folder: Path) -> Split | None:
    return _SPLITS.get(folder.resolve().name.lower()) if folder.is_dir() else None


def _split_folders(given: Path) -> list[Path]:
    entries = visible(given) if given.is_dir() else []
    folders = [entry for entry in entries if _split_of(entry)]
    if not folders:
        raise InputError(
            f"{given}: --split-by-folder takes folders named train, val or test, and folders that "
            "hold these; name the splits in a file with --split FILE.csv"
        )
    rest = [e.name for e in entries if e not in folders and (e.is_dir() or is_image(e))]
    if rest:
        raise InputError(
            f"{given}: holds {', '.join(rest)} beside {', '.join(f.name for f in folders)}; move "
            "them into a split, or give the folders of the splits as inputs"
        )
    return folders
