"""``vecsetx evaluate``: reconstruct hearts and score them on their label maps' own grids."""

import datetime
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vecsetx import __version__
from vecsetx.anatomy.labelmap import LabelMap
from vecsetx.anatomy.structures import LabelSet
from vecsetx.data.dataset import DataSet, Split
from vecsetx.errors import InputError
from vecsetx.evaluation.scores import Score, score_heart, summarize, write_scores
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import EncodeOptions, encode_label_map, read_truth
from vecsetx.pipeline.inputs import find_label_maps
from vecsetx.pipeline.progress import console, steps
from vecsetx.pipeline.reconstruct import heart_surfaces
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.surfaces import label_map_surfaces
from vecsetx.report.page import Report, write_report
from vecsetx.report.scene import HeartView
from vecsetx.training.journal import read_journal

SHOWN_HEARTS = 3
"""Hearts to turn in 3-D on the page."""

_PAGE_RESOLUTION = 128


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What became of an evaluation.

    Attributes:
        scores: As in ``scores.json``, without the provenance.
        failed: Heart → reason, for hearts that could not be scored.
    """

    scores: dict[str, Any]
    failed: dict[str, str]


def evaluate(
    model: Path, inputs: Sequence[Path], out: Path, split: Split, options: EncodeOptions
) -> Evaluated:
    """Score a model; writes ``scores.csv``, ``scores.json`` and ``report.html`` into ``out``.

    Args:
        model: A run's folder or a saved model's.
        inputs: One prepared data set, of which ``split`` is scored on the label maps it was made
            from, or label maps.
        out: Where to write.
        split: The split of a data set.
        options: How label maps are shown to the model. The truth is always the whole label map.

    Raises:
        InputError: The model or the inputs cannot be found, or no heart can be scored.
    """
    trained = TrainedModel.load(model)
    hearts, labels_of_data = _hearts(inputs, split)
    label_set = options.label_set or labels_of_data or trained.label_set
    options = replace(options, label_set=label_set)
    rows: list[Score] = []
    views: list[HeartView] = []
    failed: dict[str, str] = {}
    with steps("scoring hearts", len(hearts)) as progress:
        for name, path in hearts.items():
            try:
                truth = read_truth(path, trained, label_set)
                field = encode_label_map(truth, trained, options, str(path))
                predicted = rasterize(field, truth)
            except InputError as error:
                failed[name] = str(error)
            else:
                scored = _score(name, truth, predicted, trained, label_set)
                rows += scored
                if len(views) < SHOWN_HEARTS and predicted.labels.any():
                    views.append(_view(name, truth, field, scored))
            progress.advance(note=name)
    if not rows:
        raise InputError("\n".join(failed.values()))
    provenance = _provenance(model, trained, inputs, options, set(hearts))
    write_scores(out, rows, provenance)
    scores = summarize(rows)
    report = Report(
        title="Reconstructed hearts",
        scores={**scores, "provenance": provenance},
        history=read_journal(model / "metrics.jsonl"),
        hearts=views,
        provenance={key: str(value) for key, value in provenance.items()},
    )
    write_report(out / "report.html", report)
    return Evaluated(scores, failed)


def _hearts(inputs: Sequence[Path], split: Split) -> tuple[dict[str, Path], LabelSet | None]:
    """Heart name → the label map that it is scored against; and a data set's own label set."""
    if len(inputs) == 1 and (inputs[0] / "dataset.json").exists():
        dataset = DataSet.read(inputs[0])
        hearts = {heart.name: Path(heart.source) for heart in dataset.of_split(split)}
        if not hearts:
            raise InputError(f"{inputs[0]}: has no hearts in split {split!r}")
        return hearts, LabelSet.from_dict(dataset.label_set, str(inputs[0]))
    return find_label_maps(inputs), None


def _score(
    name: str,
    truth: LabelMap,
    predicted: LabelMap,
    trained: TrainedModel,
    label_set: LabelSet,
) -> list[Score]:
    """Scores of one heart; none for structures that its label set does not annotate at all."""
    return [
        score if score.structure in label_set.structures else replace(score, dice=None, iou=None)
        for score in score_heart(name, truth.labels, predicted.labels, trained.structures)
    ]


def _view(name: str, truth: LabelMap, field: HeartField, scored: list[Score]) -> HeartView:
    known = [score.dice for score in scored if score.dice is not None]
    return HeartView(
        name,
        label_map_surfaces(truth, field.structures),
        heart_surfaces(field, _PAGE_RESOLUTION),
        statistics.fmean(known) if known else math.nan,
    )


def _provenance(
    model: Path,
    trained: TrainedModel,
    inputs: Sequence[Path],
    options: EncodeOptions,
    hearts: set[str],
) -> dict[str, Any]:
    label_set = options.label_set or trained.label_set
    seen = sorted(hearts & set(trained.provenance["hearts"]))
    if seen:
        console.print(
            f"[yellow]{len(seen)} of {len(hearts)} hearts bear names of training hearts, so these "
            "may not be scores of unseen hearts[/]"
        )
    return {
        "model": str(model.resolve()),
        "trained on": f"{len(trained.provenance['hearts'])} hearts of {trained.provenance['data']}",
        "training": f"{trained.provenance['steps']} steps, seed {trained.provenance['seed']}",
        "scored": ", ".join(str(path.resolve()) for path in inputs),
        "truth": f"the label maps as given, label set {label_set.name}",
        "trained on among them": ", ".join(seen) or "none, by name",
        "grid": "every voxel of each label map's own grid",
        "hidden from the model": ", ".join(options.drop) or "nothing",
        "VecSetX": __version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
