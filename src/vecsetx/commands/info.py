"""``vecsetx info``: what a folder or file that VecSetX wrote is, and what to type next.

Nothing that a file says is trusted: weights and samples are read as safetensors, everything else as
JSON or YAML without objects, and never a pickle, such as a checkpoint.
"""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vecsetx.data.dataset import DataSet
from vecsetx.data.prepare_options import sampling_words
from vecsetx.errors import InputError
from vecsetx.formats.folders import SAMPLES_ENDING
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.manifest.contents import MANIFEST
from vecsetx.model.built_in import BUILT_IN, built_in_model
from vecsetx.model.saved import TrainedModel
from vecsetx.model.weights import parameter_count
from vecsetx.recipe import Recipe, read_changes
from vecsetx.runs.run_folder import RunData, next_command
from vecsetx.sampling.quality.cohort import MIN_HEARTS
from vecsetx.sampling.quality.usual_heart import UsualHeart
from vecsetx.sampling.samples import SamplesFile
from vecsetx.terminal.info_results import (
    as_text,
    calibration_of,
    exported_hearts,
    known_facts,
    of_comparison,
    of_export,
    of_manifest,
    of_measures,
    of_new_hearts,
    of_placement,
    of_reconstruction,
    of_reconstructions,
    of_scores,
    of_space,
    origins_of,
)
from vecsetx.terminal.next_step import model_words, typed, unused_folder
from vecsetx.terminal.progress_bars import waiting
from vecsetx.terminal.table import counted
from vecsetx.training.journal import Entry, read_journal

__all__ = ["describe"]


_PARTIAL: Mapping[bool | None, str] = {
    True: "learned: parts of its training hearts were hidden",
    False: "not learned: it was trained on whole hearts only",
}


@waiting("reading")
def describe(path: Path) -> dict[str, Any]:
    """Describe what VecSetX wrote.

    Args:
        path: Folder of a run, a saved model, a prepared data set, scores, a comparison,
            reconstructions, exported hearts, a shape space or hearts made from it, placed hearts or
            measures; a heart's samples file; or the main file of such a folder, such as
            ``scores.json``.

    Returns:
        Plain data for JSON. Where something does not apply or is not recorded, it is None or empty.

        - ``path``; ``kind``: run, model, data set, unfinished data set (of a ``prepare`` that was
          stopped), scores, comparison, reconstruction, reconstructions (of several hearts), heart,
          exported hearts, shape space, new hearts, placed hearts or measures.
        - ``written``: when its main file was last written, ISO 8601; ``version`` of VecSetX.
        - ``label_set``: its name; ``structures``: their names.
        - ``size``: what it consists of → how many.
        - ``training``: ``steps`` done ``of`` a total (None if the recipe counts epochs, since the
          number of processes is not recorded), ``finished`` (by epochs: whether a model was saved),
          and ``best_grid_dice`` of a validation, at ``best_step``; both None without validation.
        - ``calibration``: number of ``hearts`` that gave the factors, ``few`` and ``date``.
        - ``facts``: further results and origins, name → text; ``command``: what was typed last, by
          the folder's manifest.
        - ``next``: the command to type next; empty where there is none.

    Raises:
        InputError: There is nothing that VecSetX wrote, or it is damaged.
    """
    given, name = path, path.name
    if name in _FOLDERS and path.is_file():
        path = path.parent
    if path == Path(BUILT_IN) and not path.exists():
        path = built_in_model()
    if not path.exists():
        raise InputError(f"{given}: no such file or folder; check the path")
    try:
        if path.suffix == ".safetensors":
            return _entry(path, path, _of_samples(path))
        for file, of_folder in _FOLDERS.items():
            # nnU-Net's data sets have a dataset.json, too.
            if (path / file).exists() and (file != "dataset.json" or DataSet.is_at(path)):
                return _entry(path, path / file, of_folder(path))
        if sampled := sorted(path.glob(f"hearts/*{SAMPLES_ENDING}")):
            return _entry(path, sampled[-1], _of_unfinished_data(path, sampled))
        if hearts := sorted(path.glob("*/summary.json")):
            return _entry(path, hearts[0], of_reconstructions(path, hearts))
        if exported := exported_hearts(path):
            return _entry(path, next(path.glob("*.npz")), of_export(path, exported))
        if "kind" in (recorded := of_manifest(path)):
            return _entry(path, path / MANIFEST, recorded)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        # A damaged file may hold anything; each kind of damage needs the same remedy.
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{path}: damaged ({what}); write it again") from error
    raise InputError(
        f"{given}: nothing that vecsetx wrote; for label maps, masks, meshes and points, type "
        f"{typed('inspect', given)}"
    )


def _entry(path: Path, file: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """Complete what was found, the time at which ``file`` was written included."""
    written = datetime.datetime.fromtimestamp(file.stat().st_mtime).astimezone()
    empty: dict[str, Any] = {
        "path": str(path),
        "kind": "",
        "written": written.isoformat(timespec="seconds"),
        "version": None,
        "label_set": None,
        "structures": [],
        "size": {},
        "training": None,
        "calibration": None,
        "facts": {},
        "next": "",
    }
    recorded = of_manifest(path) if path.is_dir() else {}
    entry = {**empty, **found}
    entry["version"] = entry["version"] or recorded.get("version")
    entry["facts"] = {**entry["facts"], **recorded.get("facts", {})}
    return entry


def _of_run(run: Path) -> dict[str, Any]:
    recipe = Recipe().changed(read_changes(run / "recipe.yaml"), str(run / "recipe.yaml")).training
    entries = [Entry(**row) for row in read_journal(run / "metrics.jsonl")]
    saved = (run / "model" / "model.json").exists()
    found = _of_model(run / "model") if saved else {}
    steps = max([entry.step for entry in entries], default=0)
    if saved:
        steps = max(steps, int(found["training"]["steps"] or 0))
    of = None if recipe.epochs else recipe.steps
    best = max((entry for entry in entries if math.isfinite(_dice(entry))), key=_dice, default=None)
    finished = saved and (of is None or steps >= of)
    training = {
        "steps": steps,
        "of": of,
        "finished": finished,
        "best_grid_dice": best and best.grid_dice,
        "best_step": best and best.step,
    }
    return {
        **found,
        "kind": "run",
        "training": training,
        "facts": found.get("facts", {}) | {"data": _data_of(run)},
        "next": next_command(run, finished),
    }


def _data_of(run: Path) -> str:
    """Say where a run's data set is, or what to type for ``DATA``."""
    data = RunData.of(run)
    return _place(data.folder if data else None)


def _place(data: Any) -> str:
    if data is None:
        return "not recorded: type the data set's folder for DATA"
    return f"{data}" if _is_there(data) else f"{data}, no longer there: type its folder for DATA"


def _is_there(data: Any) -> bool:
    return isinstance(data, str) and DataSet.is_at(Path(data))


def _dice(entry: Entry) -> float:
    return math.nan if entry.grid_dice is None else entry.grid_dice


def _of_model(folder: Path) -> dict[str, Any]:
    trained = TrainedModel.from_pretrained(folder)
    factor = SdFactor.read(folder, trained)
    origin, spec = trained.provenance, trained.network.spec
    data, hearts = origin.get("data"), origin.get("hearts") or ()
    return {
        "kind": "model",
        "version": as_text(origin.get("version")),
        "label_set": trained.label_set.name,
        "structures": list(trained.structures),
        "size": {
            "weights": parameter_count(trained.network),
            "latents": spec.latents,
            "training hearts": len(hearts),
        },
        "training": {
            "steps": origin.get("steps"),
            "of": None,
            "finished": True,
            "best_grid_dice": None,
            "best_step": None,
        },
        "calibration": calibration_of(factor.to_dict() if factor else None),
        "facts": {
            **known_facts(data=_place(data), fold=origin.get("fold"), seed=origin.get("seed")),
            **known_facts(**{"partial hearts": _PARTIAL.get(trained.partial)}),
            "doubts": _doubts(trained.usual),
        },
        "next": typed(
            *("evaluate", data if _is_there(data) else "DATA", *model_words(folder)),
            *("--out", unused_folder("scores")),
        ),
    }


def _of_data(folder: Path) -> dict[str, Any]:
    dataset = DataSet.read(folder)
    splits = [heart.split for heart in dataset.hearts]
    versions = sorted({str(heart.version) for heart in dataset.hearts})
    checked = (folder / "check" / "check.json").exists()
    command = "train" if checked else "check"
    return {
        "kind": "data set",
        "version": ", ".join(versions) or None,
        "label_set": ", ".join(map(str, dataset.label_sets)),
        "structures": [str(name) for name in dataset.structures],
        "size": {
            "hearts": len(splits),
            "patients": len({heart.patient for heart in dataset.hearts}),
            "train": splits.count("train"),
            "val": splits.count("val"),
            "folds": int(dataset.folds),
            "variants": sum(heart.variants for heart in dataset.hearts),
        },
        "facts": known_facts(
            seed=dataset.seed,
            checked="yes" if checked else "no",
            **{"left out": "; ".join(dataset.left_out.values()) or None},
        ),
        "next": typed(command, folder, *(("--out", unused_folder("run")) if checked else ())),
    }


def _of_unfinished_data(folder: Path, sampled: Sequence[Path]) -> dict[str, Any]:
    """Describe what ``prepare`` left that was stopped: hearts without a ``dataset.json``."""
    infos = [SamplesFile(file).info for file in sampled]
    # As a rule all hearts come from one folder, which was the input.
    inputs = sorted({str(Path(info.source).parent) for info in infos})
    return {
        "kind": "unfinished data set",
        **origins_of(infos),
        "size": {"sampled hearts": len(infos)},
        "facts": {
            "unfinished": "prepare was stopped before it wrote dataset.json; typed again with all "
            "its options, it goes on and samples only the hearts that are missing"
        },
        "next": typed("prepare", *inputs, "--out", folder, *sampling_words(infos[0].options)),
    }


def _of_samples(path: Path) -> dict[str, Any]:
    samples = SamplesFile(path)
    info = samples.info
    volumes = (f"{name} {float(info.volumes_ml[name]):.1f} ml" for name in info.structures)
    return {
        "kind": "heart",
        "version": as_text(info.version),
        "label_set": as_text(info.label_set["name"]),
        "structures": [str(name) for name in info.structures],
        "size": {
            f"{group} points": samples.count(group) for group in ("surface", "near", "volume")
        },
        "facts": known_facts(
            name=info.name,
            source=f"{info.source} ({info.kind})",
            volumes=", ".join(volumes),
            cut=", ".join(info.cut) or None,
            remarks="; ".join(info.remarks) or None,
        ),
        "next": typed("reconstruct", path, "--out", "heart/"),
    }


_FOLDERS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    "recipe.yaml": _of_run,  # before its model
    "model.json": _of_model,
    "dataset.json": _of_data,
    "scores.json": of_scores,
    "compare.json": of_comparison,
    "summary.json": of_reconstruction,
    "space.json": of_space,
    "cohort.json": of_new_hearts,
    "placement.json": of_placement,
    "measures.json": of_measures,
}
"""Main file of a folder → what describes such folders."""


def _doubts(usual: UsualHeart | None) -> str:
    """Say what the model holds inferred structures against."""
    if usual is None:
        return "inferred structures are not checked: the model does not say what is usual"
    enough = sum(one.volume_ml is not None for one in usual.structures.values())
    hearts = counted(usual.hearts, "training heart")
    if not enough:
        few = f"at least {MIN_HEARTS} must have a structure whole"
        return f"inferred structures are not checked: {hearts}, and {few}"
    return f"{counted(enough, 'structure')} checked against what is usual in {hearts}"
