"""``vecsetx check``: is a prepared data set fit to learn from?"""

import difflib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.commands.progress import steps
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.files import write_json
from vecsetx.report.check_page import HeartPage, write_check_page, write_heart_page
from vecsetx.report.slices import montage, three_slices
from vecsetx.sampling.quality.compare import (
    Duplicates,
    duplicates,
    outliers,
    thickness_scores,
    volume_scores,
)
from vecsetx.sampling.quality.heart import heart_quality
from vecsetx.sampling.quality.measures import HeartQuality
from vecsetx.sampling.samples import HeartInfo
from vecsetx.workers.base import Workers
from vecsetx.workers.for_each import Outcome, for_each_heart, open_workers

PICTURES = 40
"""Hearts that are shown in pictures, the doubtful ones first."""

_COMPARISON = "labels by distance against the label map"


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a worker tells of one heart."""

    quality: HeartQuality
    info: HeartInfo


def check(
    data: Path,
    out: Path,
    heart: str | None = None,
    workers: int | None = None,
    pictures: int = PICTURES,
) -> dict[str, Any]:
    """Check a data set; writes ``check.json`` and ``check.html`` into ``out``.

    Args:
        data: The data set's folder.
        out: Folder for what is written.
        heart: Only this heart, in depth: writes ``check-HEART.html`` and no more.
        workers: Processes; None: one per core.
        pictures: Hearts shown in pictures at most, the doubtful ones first.

    Returns:
        What ``check.json`` holds: ``passed`` (whether every heart is fit), ``structures``,
        ``summary``, and ``hearts``, each with ``name``, ``patient``, ``split``, ``fold``,
        ``passed``, ``problems``, ``remarks``, ``not_done`` and its measures. With ``heart``, that
        heart alone.

    Raises:
        InputError: There is no data set, or no such heart in it.
    """
    dataset = DataSet.read(data)
    if heart is not None:
        return _check_one(dataset, _entry(dataset, heart), out)
    alone = {entry.name: replace(dataset, hearts=(entry,)) for entry in dataset.hearts}
    with open_workers(workers) as executor:
        with steps("checking hearts", len(alone), "hearts") as progress:
            looked = for_each_heart(_look, alone, executor, progress)
        result = _result(dataset, looked)
        ranked = doubtful_first(result["hearts"])
        shown = {row["name"]: alone[row["name"]] for row in ranked[:pictures] if row["structures"]}
        drawn = _pictures(shown, executor)
    write_json(out / "check.json", result)
    in_order = {row["name"]: drawn[row["name"]] for row in ranked if row["name"] in drawn}
    write_check_page(out / "check.html", {**result, "hearts": ranked}, in_order)
    return result


def doubtful_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Failed hearts, then those farthest from the usual, then those most remarked upon."""

    def doubt(row: dict[str, Any]) -> tuple[bool, float, int]:
        scores = [
            abs(found["volume_z"])
            for found in row["structures"].values()
            if found["volume_z"] is not None
        ]
        return row["passed"], -max(scores, default=0.0), -len(row["remarks"])

    return sorted(rows, key=doubt)


def _pictures(hearts: Mapping[str, DataSet], workers: Workers) -> dict[str, str]:
    """Heart → its picture, of the hearts that can be drawn."""
    if not hearts:
        return {}
    with steps("drawing hearts", len(hearts), "hearts") as progress:
        return for_each_heart(_draw, hearts, workers, progress).made


def _check_one(dataset: DataSet, entry: HeartEntry, out: Path) -> dict[str, Any]:
    """One heart in depth. Of the others only their files' heads are read."""
    alone = replace(dataset, hearts=(entry,))
    with open_workers(1) as executor, steps("checking a heart", 1, "hearts") as progress:
        looked = for_each_heart(_look, {entry.name: alone}, executor, progress)
    infos = {name: found.info for name, found in looked.made.items()}
    for other in dataset.hearts:
        # What is wrong with another heart's file is told by that heart's own check.
        with suppress(InputError):
            infos.setdefault(other.name, dataset.open(other).info)
    rows = _rows(alone, looked, infos, _by_name(dataset))
    result = _summed_up(dataset, rows)
    if looked.made:
        samples = dataset.open(entry).read()
        label_map, _ = _voxels(alone)
        page = HeartPage(rows[0], samples, montage(samples, label_map))
        write_heart_page(out / f"check-{entry.name}.html", page)
    return result


def _look(alone: DataSet) -> _Looked:
    """Look at the only heart of ``alone``. Runs in a worker."""
    (entry,) = alone.hearts
    samples = alone.open(entry).read()
    label_map, why_not = _voxels(alone)
    quality = heart_quality(samples, alone.structures, entry.annotated, label_map)
    info = samples.info
    if (info.name, info.content) != (entry.name, entry.content):
        problem = f"{entry.file} holds another heart than dataset.json says; prepare again"
        quality = quality.with_more(problems=[problem])
    if why_not:
        quality = quality.with_more(remarks=[why_not], not_done=[f"{_COMPARISON}: {why_not}"])
    return _Looked(quality, info)


def _voxels(alone: DataSet) -> tuple[LabelMap | None, str]:
    """The voxels that a heart was made from, or None and why they cannot be had."""
    (entry,) = alone.hearts
    source, structures = source_of(alone, entry), alone.open(entry).info.structures
    if not source.has_volume:
        return None, f"made from {source.kind}, which has no label map"
    if not source.path.exists():
        return None, f"{source.path} is no longer there"
    try:
        if source.sha256() != entry.sha256:
            return None, f"{source.path} has changed since; prepare again"
        return source.segmentation(structures).sampled_voxels(), ""
    except (InputError, OSError) as error:
        return None, f"the source cannot be read any more: {error}"


def _draw(alone: DataSet) -> str:
    """A picture of the only heart of ``alone``. Runs in a worker."""
    (entry,) = alone.hearts
    label_map, _ = _voxels(alone)
    return three_slices(alone.open(entry).read(), label_map)


def _result(dataset: DataSet, looked: Outcome[_Looked]) -> dict[str, Any]:
    infos = {name: found.info for name, found in looked.made.items()}
    return _summed_up(dataset, _rows(dataset, looked, infos, _by_name(dataset)))


def _rows(
    dataset: DataSet,
    looked: Outcome[_Looked],
    infos: Mapping[str, HeartInfo],
    entries: Mapping[str, HeartEntry],
) -> list[dict[str, Any]]:
    """A row per heart of ``dataset``, compared with all hearts in ``infos``."""
    volumes, thicknesses = volume_scores(infos), thickness_scores(infos)
    pairs = duplicates(infos)
    rows = []
    for entry in dataset.hearts:
        if entry.name not in looked.made:
            reason = looked.failed[entry.name]
            rows.append(_row(entry, HeartQuality(entry.name, problems=(reason,))))
            continue
        found = looked.made[entry.name]
        problems, remarks = _same_as(entry, pairs, entries)
        of_volume, of_thickness = volumes[entry.name], thicknesses[entry.name]
        odd = outliers(found.info, of_volume, of_thickness)
        quality = found.quality.with_more(problems, [*remarks, *odd])
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
    """Problems and remarks about hearts that are the same as this one."""
    problems, remarks = [], []
    for pair in pairs:
        if entry.name not in (pair.first, pair.second):
            continue
        other = entries[pair.second if entry.name == pair.first else pair.first]
        how = "all volumes are those of" if pair.by_volume else "the same shape as"
        if other.patient == entry.patient:
            remarks.append(f"{how} {other.name}, of the same patient")
        elif other.split != entry.split:
            problems.append(
                f"{how} {other.name}, of another patient and in {other.split}: learned from and "
                "scored on; drop one, or give both one patient (--group-by)"
            )
        else:
            problems.append(
                f"{how} {other.name}, of another patient; drop one, or give both one patient "
                "(--group-by)"
            )
    return problems, remarks


def _row(entry: HeartEntry, quality: HeartQuality) -> dict[str, Any]:
    """A heart as ``check.json`` has it."""
    structures = quality.structures
    there = {name: found for name, found in structures.items() if found.points is not None}
    return {
        "name": entry.name,
        "patient": entry.patient,
        "split": entry.split,
        "fold": entry.fold,
        "passed": quality.passed,
        "problems": list(quality.problems),
        "remarks": list(quality.remarks),
        "not_done": list(quality.not_done),
        "cut": [name for name, found in there.items() if found.state == "cut"],
        "absent": [name for name, found in structures.items() if found.state == "absent"],
        "inside_share": dict(quality.inside_share),
        "agreement": quality.agreement,
        "untrusted_share": quality.untrusted_share,
        "volumes_ml": {name: found.volume_ml for name, found in there.items()},
        "components": {name: found.components for name, found in there.items()},
        "points": {
            group: {name: (found.points or {})[group] for name, found in there.items()}
            for group in ("surface", "near", "volume")
        },
        "structures": {
            name: asdict(found) | {"volume_mm3": found.volume_mm3}
            for name, found in structures.items()
        },
    }


def _summed_up(dataset: DataSet, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "passed": all(row["passed"] for row in rows),
        "structures": list(dataset.structures),
        "summary": {
            "hearts": len(rows),
            "failed": sum(not row["passed"] for row in rows),
            "remarked": sum(bool(row["remarks"]) for row in rows),
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
        },
        "hearts": rows,
    }


def _by_name(dataset: DataSet) -> dict[str, HeartEntry]:
    return {entry.name: entry for entry in dataset.hearts}


def _entry(dataset: DataSet, heart: str) -> HeartEntry:
    names = [entry.name for entry in dataset.hearts]
    if heart not in names:
        near = difflib.get_close_matches(heart, names, n=3, cutoff=0.4) or names[:3]
        raise InputError(
            f"--heart {heart}: {dataset.folder} has no such heart; it has {', '.join(near)}"
            + (f" and {len(names) - len(near)} others" if len(names) > len(near) else "")
        )
    return dataset.hearts[names.index(heart)]
