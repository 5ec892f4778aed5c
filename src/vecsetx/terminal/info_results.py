"""``vecsetx info`` of results: scores, reconstructions, shape spaces and so on."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vecsetx.errors import InputError
from vecsetx.manifest.contents import Manifest
from vecsetx.plain_data import PlainDataError, read_json
from vecsetx.population.space_file import SavedSpace
from vecsetx.sampling.heart_info import HeartInfo
from vecsetx.sampling.npz.layout import exported_info
from vecsetx.schemas import (
    COMPARISON,
    MEASURES,
    NEW_HEARTS,
    PLACEMENT,
    SCORES,
    SPACE,
    SUMMARY,
    check_schema,
    schema_of,
)
from vecsetx.terminal.next_step import model_words, reading, typed, unused_folder

__all__ = [
    "as_text",
    "calibration_of",
    "exported_hearts",
    "known_facts",
    "of_comparison",
    "of_export",
    "of_manifest",
    "of_measures",
    "of_new_hearts",
    "of_placement",
    "of_reconstruction",
    "of_reconstructions",
    "of_scores",
    "of_space",
    "origins_of",
]


_UNFINISHED = (
    "shape {} was stopped before it listed its hearts; typed again with all its options, it makes "
    "only those that are missing"
)


def of_manifest(folder: Path) -> dict[str, Any]:
    """Describe the last run in a folder's manifest; empty if there is none."""
    try:
        runs = Manifest.read(folder).runs
    except InputError as error:  # another program's, or damaged: what lies beside it may be whole
        return {"facts": {"command": f"unknown: {error}"}}
    if not runs:
        return {}
    last = runs[-1]
    command = " ".join(last.command.split()[1:2])
    ended = f" ({last.state}, exit status {last.exit_status})"
    ended = {"finished": "", "running": " (still runs, or was killed)"}.get(last.state, ended)
    return {
        "kind": f"results of {command}",
        "version": last.vecsetx,
        "facts": {"command": last.command + ended},
        # Phantoms alone are hearts that inspect reads.
        "next": typed("inspect", folder) if command == "phantom" else "",
    }


def of_scores(folder: Path) -> dict[str, Any]:
    """Describe the scores of ``evaluate``."""
    scores = _read_json(folder / "scores.json", SCORES)
    origin, mean = scores["provenance"], scores["summary"]["mean"].get("dice")
    factors = scores.get("calibration", {}).get("factors")
    return {
        "kind": "scores",
        "version": as_text(origin.get("VecSetX")),
        "structures": [str(name) for name in scores["summary"]["structures"]],
        "size": {"hearts": len(scores["hearts"])},
        "calibration": calibration_of(factors),
        "facts": known_facts(
            model=origin.get("model"),
            scored=origin.get("scored"),
            hidden=origin.get("hidden from the model"),
            **{"mean Dice": None if mean is None else f"{float(mean):.3f}"},
        ),
        "next": typed("compare", folder, "OTHERS", "--out", unused_folder("comparison")),
    }


def of_comparison(folder: Path) -> dict[str, Any]:
    """Describe a comparison of ``compare``."""
    found = _read_json(folder / "compare.json", COMPARISON)
    a, b = found["models"]["a"], found["models"]["b"]
    dice = found["mean"]["dice"] or {"a": 0.0, "b": 0.0}
    better = b if float(dice["b"]) > float(dice["a"]) else a
    return {
        "kind": "comparison",
        "version": as_text(b.get("VecSetX")),
        "structures": [str(name) for name in found["structures"]],
        "size": {"hearts": len(found["hearts"])},
        "facts": {
            side: f"{one['model']}, mean Dice {float(dice[side.lower()]):.3f}"
            for side, one in (("A", a), ("B", b))
        },
        "next": typed(
            "reconstruct",
            "INPUTS",
            *model_words(str(better["model"])),
            "--out",
            unused_folder("patient"),
        ),
    }


def of_reconstruction(folder: Path) -> dict[str, Any]:
    """Describe a heart of ``reconstruct``."""
    summary = _read_json(folder / "summary.json", SUMMARY)
    if "cycle" in summary:
        return _of_cycle(folder, summary)
    origin, of_structures = summary["provenance"], summary["structures"]
    present = [name for name, one in of_structures.items() if one["area_mm2"]]
    inferred = [name for name in present if of_structures[name]["observed"] is False]
    page = folder / "heart.html"
    return {
        "kind": "reconstruction",
        "version": as_text(origin.get("version")),
        "label_set": as_text(origin["label_set"].get("name")),
        "structures": present,
        "size": {"faces": sum(int(one["faces"]) for one in of_structures.values())},
        "calibration": calibration_of((origin.get("ensemble") or {}).get("calibration")),
        "facts": known_facts(
            input=origin.get("input"),
            model=origin.get("model"),
            inferred=", ".join(inferred) or None,
            space=origin.get("space"),
        ),
        "next": reading(page) if page.exists() else typed("inspect", folder),
    }


def _of_cycle(folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a heart of ``reconstruct --frames``."""
    origin, cycle, page = summary["provenance"], summary["cycle"], folder / "heart.html"
    fraction = cycle["numbers"]["LV_ejection_fraction_percent"]["value"]
    return {
        "kind": "reconstruction of a cycle",
        "version": as_text(origin.get("version")),
        "label_set": as_text(origin["label_set"].get("name")),
        "structures": [str(name) for name in summary["meshes"]],
        "size": {"frames": len(cycle["reconstructed"])},
        "calibration": calibration_of(None),
        "facts": known_facts(
            input=", ".join(map(str, origin["input"])),
            model=origin.get("model"),
            left_out=", ".join(map(str, cycle["left_out"])) or None,
            LV_ejection_fraction=None if fraction is None else f"{fraction:.1f}%",
            space=origin.get("space"),
        ),
        "next": reading(page) if page.exists() else typed("inspect", folder),
    }


def of_reconstructions(folder: Path, summaries: list[Path]) -> dict[str, Any]:
    """Describe several hearts of ``reconstruct``, each in its folder."""
    first = of_reconstruction(summaries[0].parent)
    origins = [_read_json(summary, SUMMARY).get("provenance") for summary in summaries]
    sets = dict.fromkeys(str(origin["label_set"].get("name")) for origin in origins if origin)
    return {
        **first,
        "label_set": ", ".join(sets),
        "kind": "reconstructions",
        "size": {"hearts": len(summaries)},
        "facts": known_facts(model=first["facts"].get("model")),
        "next": typed("info", summaries[0].parent),
    }


def of_space(folder: Path) -> dict[str, Any]:
    """Describe a shape space of ``shape fit``."""
    saved = SavedSpace.read(folder)
    page = folder / "report.html"
    return {
        "kind": "shape space",
        "version": as_text(_read_json(folder / "space.json", SPACE).get("version")),
        "structures": list(saved.structures),
        "size": {
            "hearts": len(saved.cohort.names),
            "modes": len(saved.space.sd),
            "leading modes": saved.space.leading,
            "anchors": saved.template.anchors,
        },
        "facts": known_facts(model=saved.model, page=str(page) if page.exists() else None),
        "next": typed(
            *("shape", "sample", folder, *model_words(saved.model)),
            *("--out", unused_folder("cohort")),
        ),
    }


def of_new_hearts(folder: Path) -> dict[str, Any]:
    """Describe hearts of ``shape sample``, ``modes`` or ``interpolate``."""
    found = _read_json(folder / "cohort.json", NEW_HEARTS)
    origin, hearts = found["provenance"], found["hearts"]
    return {
        "kind": "new hearts",
        "version": as_text(origin["VecSetX"]),
        "size": {
            "hearts": len(hearts),
            "hearts with faults": sum(bool(heart["faults"]) for heart in hearts.values()),
            "failed": len(found["failed"]),
        },
        "facts": known_facts(
            space=origin["space"],
            model=origin["model"],
            unfinished=None if found["finished"] else _UNFINISHED.format(origin["command"]),
        ),
        "next": typed("inspect", folder),
    }


def of_placement(folder: Path) -> dict[str, Any]:
    """Describe hearts that ``shape project`` placed."""
    found = _read_json(folder / "placement.json", PLACEMENT)
    origin, hearts = found["provenance"], found["hearts"]
    residual = {name: float(heart["placement"]["residual_mm"]) for name, heart in hearts.items()}
    worst = max(residual, key=residual.__getitem__)
    return {
        "kind": "placed hearts",
        "version": as_text(origin["VecSetX"]),
        "size": {"hearts": len(hearts), "failed": len(found["failed"])},
        "facts": known_facts(
            space=origin["space"],
            model=origin["model"],
            **{"largest residual": f"{worst}, {residual[worst]:.1f} mm"},
        ),
        "next": typed("info", Path(str(origin["space"]))),
    }


def of_measures(folder: Path) -> dict[str, Any]:
    """Describe what ``measure`` measured."""
    found = _read_json(folder / "measures.json", MEASURES)
    hearts = found["hearts"]
    numbers = {name for heart in hearts.values() for name in heart["measures"]}
    sets = {str(heart["label_set"]) for heart in hearts.values()}
    return {
        "kind": "measures",
        "version": as_text(found["provenance"]["VecSetX"]),
        "label_set": ", ".join(sorted(sets)),
        "size": {
            "hearts": len(hearts),
            "kinds of numbers": len(numbers),
            "failed": len(found["failed"]),
        },
        "next": f"open {shlex.quote(str(folder / 'measures.csv'))} in a spreadsheet",
    }


def exported_hearts(folder: Path) -> list[HeartInfo]:
    """Read the descriptions of the hearts that ``export`` wrote into a folder."""
    found = (exported_info(file) for file in sorted(folder.glob("*.npz")))
    return [info for info in found if info]


def of_export(folder: Path, hearts: Sequence[HeartInfo]) -> dict[str, Any]:
    """Describe the hearts of ``export``."""
    return {
        "kind": "exported hearts",
        **origins_of(hearts),
        "structures": list(dict.fromkeys(name for info in hearts for name in info.structures)),
        "size": {"hearts": len(hearts)},
        "next": typed("prepare", folder, "--out", unused_folder("data")),
    }


def origins_of(infos: Sequence[HeartInfo]) -> dict[str, str]:
    """Return the versions and the label sets of several hearts."""
    return {
        "version": ", ".join(sorted({info.version for info in infos})),
        "label_set": ", ".join(sorted({str(info.label_set["name"]) for info in infos})),
    }


def _read_json(path: Path, schema: int) -> Any:
    try:
        content = read_json(path)
    except (OSError, PlainDataError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); write it again") from error
    check_schema(path, schema_of(content), schema, "write it again")
    return content


def calibration_of(factors: Any) -> dict[str, Any] | None:
    """Shorten the plain data of an :class:`SdFactor`; None for a model without one."""
    if not isinstance(factors, Mapping):  # "uncalibrated", or no ensemble
        return None
    return {
        "hearts": int(factors["hearts"]),
        "few": bool(factors.get("few", False)),
        "date": str(factors["date"]),
    }


def known_facts(**values: Any) -> dict[str, str]:
    """Return values as texts, without those that are None."""
    return {name: str(value) for name, value in values.items() if value is not None}


def as_text(value: Any) -> str | None:
    """Return a value as text; None stays None."""
    return None if value is None else str(value)
