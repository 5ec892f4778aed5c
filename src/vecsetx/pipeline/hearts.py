"""One label map through a model: read, observe, encode."""

from dataclasses import dataclass
from pathlib import Path

from vecsetx.anatomy.labelmap import LabelMap, read_label_map
from vecsetx.anatomy.structures import LabelSet
from vecsetx.errors import InputError
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.sampler import observe

POINTS_FACTOR, LATENTS_FACTOR = 4, 2
"""How many times more points and latents a heart gets in use than in training. More than these did
not help (lab log, 2026-11-22)."""


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How a label map is shown to a model.

    Attributes:
        label_set: What its ids mean; None for the model's own label set.
        drop: Structures hidden from the model.
        points: Surface points; None for four times as many as in training.
        latents: Latents of the set; None for twice as many as in training, where the model is
            anchored (others cannot change it). More are more accurate up to a point, and slower.
        seed: Seed of the surface points.
    """

    label_set: LabelSet | None = None
    drop: tuple[str, ...] = ()
    points: int | None = None
    latents: int | None = None
    seed: int = 0


def read_truth(path: Path, trained: TrainedModel, label_set: LabelSet | None) -> LabelMap:
    """A label map with labels 1…K in the order of the model's structures.

    Raises:
        InputError: No usable label map, or its label set names none of the model's structures.
    """
    chosen = label_set or trained.label_set
    return read_label_map(path).named(chosen, trained.structures, str(path))


def encode_label_map(
    label_map: LabelMap, trained: TrainedModel, options: EncodeOptions, source: str
) -> HeartField:
    """Show a label map (labels 1…K) to a model.

    Raises:
        InputError: Nothing is left to show after dropping structures, or the options do not fit the
            model.
    """
    seen = label_map.without(trained.structures.index(name) + 1 for name in options.drop)
    if not seen.labels.any():
        raise InputError(f"{source}: nothing is left after --drop {','.join(options.drop)}")
    spec = trained.network.spec
    if options.latents and spec.queries == "learnable" and options.latents != spec.latents:
        raise InputError(
            f"--latents {options.latents}: this model's {spec.latents} queries are learned; only "
            "anchored models can change their number"
        )
    latents = LATENTS_FACTOR * spec.anchors if options.latents is None else options.latents
    if spec.queries == "learnable":
        latents = 0
    points = POINTS_FACTOR * trained.points if options.points is None else options.points
    observation = observe(seen, len(trained.structures), points, trained.mm_per_unit, options.seed)
    return HeartField.encode(
        trained.network, trained.structures, observation, trained.truncation, latents
    )
