"""``vecsetx check``: check a prepared data set for problems."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from vecsetx.cohort.checking import Checked, Checking, Drawing, check_heart, voxels_of
from vecsetx.cohort.out_folder import results_folder
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.report.check_page import HeartPage, write_check_page, write_heart_page
from vecsetx.report.ranking import doubtful_first
from vecsetx.report.slices import montage
from vecsetx.sampling.quality.cohort import (
    MAX_Z,
    Duplicates,
    Usual,
    duplicates,
    outliers,
    usual_thicknesses,
    usual_volumes,
    whole_thicknesses_mm,
    whole_volumes_ml,
    z_scores,
)
from vecsetx.sampling.quality.measures import Fitness, HeartQuality
from vecsetx.sampling.samples import HeartInfo
from vecsetx.suggestions import unknown
from vecsetx.terminal.cohort_run import run_cohort
from vecsetx.terminal.progress_bars import steps, waiting, warn
from vecsetx.workers.for_each import Outcome, for_each_heart, open_workers
from vecsetx.workers.heart_work import Records

__all__ = ["check"]

_SCHEMA = 1
"""Version of ``check.json``, for the scripts that read it."""

_PICTURES = 40
"""Number of hearts with pictures, most doubtful first."""


def check(
    data: Path,
    out: Path,
    heart: str | None = None,
    workers: int | None = None,
    pictures: int = _PICTURES,
    dask: str | None = None,
) -> dict[str, Any]:
    """Check a data set; write ``check.json`` and ``check.html`` into ``out``.

    Args:
        data: Folder of the data set.
        out: Folder for the results.
        heart: Check only this heart, in detail, and write only ``check-HEART.html``.
        workers: Number of processes; None for one per core.
        pictures: Largest number of hearts with pictures, most doubtful first.
        dask: Address of a Dask scheduler, whose workers are used instead.

    Returns:
        The contents of ``check.json``: ``schema``; ``state``, the worst of the hearts' (``fit``,
        ``look`` or ``unfit``), ``structures``, ``left_out`` (heart → why it could not be prepared),
        ``summary``, and ``hearts``, each with ``name``, ``patient``, ``split``, ``fold``,
        ``state``, ``problems`` (make it unfit), ``doubts`` (ask for a look),
        ``remarks`` (only inform), ``not_done`` (checks that were impossible) and its measures.
        With ``heart``, only that heart.

    Raises:
        InputError: There is no data set, or no such heart in it, ``out`` cannot be written, or
            another run is writing into it.
    """
    dataset = DataSet.read(data)
    entry = None if heart is None else _entry(dataset, heart)
    with results_folder(out):
        if entry is not None:
            return _check_one(dataset, entry, out)
        return _check_all(dataset, out, workers, dask, pictures)


def _check_all(
    dataset: DataSet, out: Path, workers: int | None, dask: str | None, pictures: int
) -> dict[str, Any]:
    # Workers check one heart each, so they get data sets of one heart.
    folder, records = dataset.folder.resolve(), Records.within(out)
    alone = {
        entry.name: replace(dataset, folder=folder, hearts=(entry,)) for entry in dataset.hearts
    }
    with open_workers(workers, dask) as executor:
        found = run_cohort("checking hearts", Checking(), alone, records, executor)
        checked = Outcome(
            {
                name: Checked(quality, dataset.open_file(alone[name].hearts[0].file).info)
                for name, quality in found.results.items()
            },
            found.failed,
        )
        # Comparing hearts with one another needs all of them.
        result = _result(dataset, checked)
        ranked = doubtful_first(result["hearts"])
        shown = {row["name"]: alone[row["name"]] for row in ranked[:pictures] if row["structures"]}
        drawings = {}
        if shown:
            pictures_done = Records(records.folder / "pictures", records.out)
            drawn = run_cohort(
                "drawing hearts", Drawing(), shown, pictures_done, executor, quiet=True
            )
            drawings = drawn.results
            for name, reason in drawn.failed.items():
                warn(f"check.html lacks the picture of {name}: {reason}")
    write_json(out / "check.json", result)
    in_order = {row["name"]: drawings[row["name"]] for row in ranked if row["name"] in drawings}
    with waiting("writing check.html"):
        write_check_page(out / "check.html", {**result, "hearts": ranked}, in_order)
    return result


def _check_one(dataset: DataSet, entry: HeartEntry, out: Path) -> dict[str, Any]:
    """Check one heart in detail. Of the other hearts, only the descriptions are read."""
    alone = replace(dataset, hearts=(entry,))
    with open_workers(1) as executor, steps("checking a heart", 1, "hearts") as progress:
        checked = for_each_heart(check_heart, {entry.name: alone}, executor, progress)
    infos = {name: found.info for name, found in checked.results.items()}
    for other in dataset.hearts:
        # A damaged file of another heart is reported by the check of that heart.
        with suppress(InputError):
            infos.setdefault(other.name, dataset.open_file(other.file).info)
    rows = _rows(alone, checked, infos, _by_name(dataset))
    result = _summarized(dataset, rows, infos)
    if checked.results:
        with waiting("drawing the heart"):
            samples = dataset.open_file(entry.file).read()
            label_map, _ = voxels_of(alone)
            page = HeartPage(rows[0], samples, montage(samples, label_map))
            write_heart_page(out / f"check-{entry.name}.html", page)
    return result


def _result(dataset: DataSet, checked: Outcome[Checked]) -> dict[str, Any]:
    infos = {name: found.info for name, found in checked.results.items()}
    return _summarized(dataset, _rows(dataset, checked, infos, _by_name(dataset)), infos)


def _rows(
    dataset: DataSet,
    checked: Outcome[Checked],
    infos: Mapping[str, HeartInfo],
    entries: Mapping[str, HeartEntry],
) -> list[dict[str, Any]]:
    """Return a row per heart of ``dataset``, compared with all hearts in ``infos``."""
    volumes, thicknesses = usual_volumes(infos), usual_thicknesses(infos)
    pairs = duplicates(infos)
    rows = []
    for entry in dataset.hearts:
        if entry.name not in checked.results:
            reason = checked.failed[entry.name]
            rows.append(_row(entry, HeartQuality(entry.name, problems=(reason,))))
            continue
        found = checked.results[entry.name]
        problems, remarks = _same_as(entry, pairs, entries)
        of_volume = z_scores(whole_volumes_ml(found.info), volumes)
        of_thickness = z_scores(whole_thicknesses_mm(found.info), thicknesses)
        odd = outliers(found.info, volumes, thicknesses)
        quality = found.quality.with_more(problems, odd, remarks)
        structures = {
            name: replace(
                structure, volume_z=of_volume.get(name), thickness_z=of_thickness.get(name)
            )
            for name, structure in quality.structures.items()
        }
        rows.append(_row(entry, replace(quality, structures=structures)))
    return rows


def _same_as(
    entry: HeartEntry, pairs: list[Duplicates], entries: Mapping[str, HeartEntry]
) -> tuple[list[str], list[str]]:
    """Return problems and remarks about hearts that are the same as this one."""
    problems, remarks = [], []
    for pair in pairs:
        if entry.name not in (pair.first, pair.second):
            continue
        other = entries[pair.second if entry.name == pair.first else pair.first]
        how = "the same volumes as" if pair.by_volume else "the same shape as"
        if other.patient == entry.patient:
            remarks.append(f"{how} {other.name}, of the same patient")
        elif other.split != entry.split:
            problems.append(
                f"{how} {other.name}, of another patient and in {other.split}: used for "
                f"{_uses(entry, other)}; remove one, or assign both to one patient (--group-by)"
            )
        else:
            problems.append(
                f"{how} {other.name}, of another patient; remove one, or assign both to one "
                "patient (--group-by)"
            )
    return problems, remarks


def _uses(*hearts: HeartEntry) -> str:
    """Say what hearts are used for, training first."""
    uses = {"train": "training", "val": "validation", "test": "testing"}
    splits = {heart.split for heart in hearts}
    return " and for ".join(use for split, use in uses.items() if split in splits)


def _row(entry: HeartEntry, quality: HeartQuality) -> dict[str, Any]:
    """Return a heart as in ``check.json``."""
    structures = quality.structures
    there = {name: found for name, found in structures.items() if found.points is not None}
    return {
        "name": entry.name,
        "patient": entry.patient,
        "split": entry.split,
        "fold": entry.fold,
        "state": quality.state,
        "problems": list(quality.problems),
        "doubts": list(quality.doubts),
        "remarks": list(quality.remarks),
        "not_done": list(quality.not_done),
        "cut": [name for name, found in there.items() if found.state == "cut"],
        "absent": [name for name, found in structures.items() if found.state == "absent"],
        "inside_share": dict(quality.inside_share),
        "agreement": quality.agreement,
        "untrusted_share": quality.untrusted_share,
        "volumes_ml": {name: found.volume_ml for name, found in there.items()},
        "pieces": {name: found.pieces for name, found in there.items()},
        "points": {
            group: {name: (found.points or {})[group] for name, found in there.items()}
            for group in ("surface", "near", "volume")
        },
        "structures": {name: asdict(found) for name, found in structures.items()},
    }


def _summarized(
    dataset: DataSet, rows: list[dict[str, Any]], infos: Mapping[str, HeartInfo]
) -> dict[str, Any]:
    counts = {state: sum(row["state"] == state for row in rows) for state in get_args(Fitness)}
    return {
        "schema": _SCHEMA,
        "state": next((state for state in ("unfit", "look") if counts[state]), "fit"),
        "structures": list(dataset.structures),
        "left_out": dataset.left_out,
        "summary": {
            "hearts": len(rows),
            **counts,
            "not_done": sum(bool(row["not_done"]) for row in rows),
            "patients": len({row["patient"] for row in rows}),
            "splits": {
                split: sum(row["split"] == split for row in rows)
                for split in sorted({row["split"] for row in rows})
            },
            "states": {
                name: {
                    state: sum(
                        row["structures"].get(name, {}).get("state") == state for row in rows
                    )
                    for state in ("present", "cut", "absent", "not annotated")
                }
                for name in dataset.structures
            },
            "outliers": {
                "beyond_z": MAX_Z,
                "volume_ml": _plain(usual_volumes(infos)),
                "thickness_mm": _plain(usual_thicknesses(infos)),
            },
        },
        "hearts": rows,
    }


def _plain(usual: Mapping[str, Usual]) -> dict[str, Any]:
    """Structure → what is usual, as plain data: hearts, median, and the limits of outliers."""
    return {
        name: {"hearts": one.hearts, "median": one.median, "limits": list(one.limits)}
        for name, one in usual.items()
    }


def _by_name(dataset: DataSet) -> dict[str, HeartEntry]:
    return {entry.name: entry for entry in dataset.hearts}


def _entry(dataset: DataSet, heart: str) -> HeartEntry:
    names = [entry.name for entry in dataset.hearts]
    if heart not in names:
        raise InputError(f"{dataset.folder}: {unknown('heart', heart, names)}")
    return dataset.hearts[names.index(heart)]
