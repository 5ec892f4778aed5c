"""What ``vecsetx evaluate`` scores: its options and its hearts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.idle_options import check_idle
from vecsetx.data.sources import HeartSource, source_of
from vecsetx.data.split import Split
from vecsetx.errors import InputError
from vecsetx.evaluation.heart_scores import TOLERANCE_MM
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.inference.encode import EncodeOptions
from vecsetx.limits import VOXELS
from vecsetx.model.saved import TrainedModel

__all__ = ["EvaluateOptions", "ScoredHeart", "find_scored_hearts", "structures_in"]


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """Options of an evaluation.

    Attributes:
        encode: How hearts are encoded. The truth is always the whole heart.
        split: Split of the data set.
        fold: Fold of the data set whose hearts are ``val``; None for the data set's own split.
        tolerance_mm: Tolerance of the normalized surface distance.
        meshes: Whether to score meshes, too: the true surfaces, and the model's on the truth's
            grid.
        hide_each: Whether to hide each structure of each heart in turn and score it as inferred.
        ensemble: Members of an ensemble, which gives the uncertainty of hidden structures; 0 for
            none.
        calibration: A ``calibration.json`` that takes the place of the model's own; None for that.
        keep_specks: Whether small pieces that nothing observed supports are scored, too
            (:mod:`~vecsetx.reconstruction.specks`).
        trust_names: Whether structures keep their names where anatomy contradicts them.
        absent: Structures that hearts lack where their masks are empty; others are not scored
            there. Only for hearts outside of a data set, which records its own.
        space: Axes of meshes whose files do not say, ``lps`` or ``ras``.
        units: Unit of meshes, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`. A prepared data set
            has recorded the space and unit of each heart.
        most_voxels: Most voxels of a label map; a prepared data set has recorded that, too.
    """

    encode: EncodeOptions = field(default_factory=EncodeOptions)
    split: Split = "val"
    fold: int | None = None
    tolerance_mm: float = TOLERANCE_MM
    meshes: bool = True
    hide_each: bool = False
    ensemble: int = 0
    calibration: Path | None = None
    keep_specks: bool = False
    trust_names: bool = False
    absent: tuple[str, ...] = ()
    space: str = "lps"
    units: str = "mm"
    most_voxels: int = VOXELS

    def recorded(self) -> dict[str, Any]:
        """Return the options that may change scores, as in ``scores.json``; None for the usual."""
        encode = self.encode
        return {
            "refine": encode.refine,
            "latents": encode.latents,
            "points": encode.points,
            "recycle": encode.recycle,
            "pose": encode.pose,
            "hide": list(encode.hide),
            "hide_each": self.hide_each,
            "keep_specks": self.keep_specks,
            "seed": encode.seed,
        }


@dataclass(frozen=True, slots=True)
class ScoredHeart:
    """A heart to score.

    Attributes:
        source: Its source.
        named: Structures that it annotates according to a data set; None without one.
    """

    source: HeartSource
    named: tuple[str, ...] | None = None

    def annotated(self, truth: Segmentation) -> tuple[str, ...]:
        """Structures that it annotates: by default, all of its label set's."""
        named = self.source.annotated(structures_in(truth)) if self.named is None else self.named
        return self.source.label_set.structures if named is None else named


def find_scored_hearts(
    inputs: Sequence[Path], options: EvaluateOptions, trained: TrainedModel
) -> dict[str, ScoredHeart]:
    """Find the hearts to score, by name.

    Args:
        inputs: One prepared data set, whose split is scored; or hearts of any kind.
        options: The options of the evaluation.
        trained: The model.

    Raises:
        InputError: The inputs cannot be found, or hold no hearts.
    """
    label_set = options.encode.label_set
    if len(inputs) == 1 and DataSet.is_at(inputs[0]):
        if options.absent:
            raise InputError(
                f"{inputs[0]}: has recorded what its hearts lack; give --absent to vecsetx prepare"
            )
        _check_recorded(inputs[0], options)
        dataset = DataSet.read(inputs[0])
        hearts = {
            entry.name: ScoredHeart(
                _relabelled(source_of(dataset, entry), options), entry.annotated
            )
            for entry in dataset.of_split(options.split, options.fold)
        }
        if not hearts:
            there = ", ".join(sorted({heart.split for heart in dataset.hearts}))
            raise InputError(
                f"{inputs[0]}: has no hearts in split {options.split}; choose another with --split "
                f"(it has {there}), or with --fold"
            )
        return hearts
    if options.split != "val" or options.fold is not None:
        option = "--fold" if options.fold is not None else "--split"
        raise InputError(
            f"{option}: chooses hearts of a data set, and {inputs[0]} is none; leave it out, or "
            "give the folder of one data set alone"
        )
    found = find_hearts(
        inputs,
        label_set,
        options.space,
        options.units,
        trained.label_set,
        options.trust_names,
        most_voxels=options.most_voxels,
    )
    check_idle(
        found.values(), label_set is not None, options.space, options.units, options.trust_names
    )
    return {
        name: ScoredHeart(replace(source, absent=options.absent)) for name, source in found.items()
    }


def _check_recorded(data: Path, options: EvaluateOptions) -> None:
    """Raise :class:`InputError` for an option whose value the data set has recorded."""
    given = {
        f"--space {options.space}": options.space.lower() != "lps",
        f"--units {options.units}": options.units != "mm",
        # The names of a data set's structures were checked, unless another label set is given.
        "--trust-names": options.trust_names and options.encode.label_set is None,
    }
    for option, is_given in given.items():
        if is_given:
            raise InputError(
                f"{option}: changes nothing, as {data} has recorded this of its hearts; leave it "
                "out, or give it to vecsetx prepare"
            )


def structures_in(truth: Segmentation) -> set[str]:
    """Return the structures that a heart has."""
    labels = np.unique(truth.label_map.labels).tolist()
    return {name for label, name in enumerate(truth.structures, 1) if label in labels}


def _relabelled(source: HeartSource, options: EvaluateOptions) -> HeartSource:
    label_set = options.encode.label_set
    if label_set is None:
        return source
    trust = options.trust_names
    return replace(source, label_set=label_set, chosen=True, trust_names=trust)
