"""Encode a heart: read it, choose the model's input, and encode that.

A model's input is a set of labelled surface points, sampled from the surfaces of a segmentation or
taken from the samples or points in a file.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool

from vecsetx.anatomy.frame import UPRIGHT, Frame, Rotation
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.batch import Batch
from vecsetx.data.sources import HeartSource
from vecsetx.errors import InputError
from vecsetx.formats.points import LabelledPoints
from vecsetx.geometry.heart_geometry import Geometry, Segmentation
from vecsetx.inference.as_shown import AsShown
from vecsetx.inference.beginning import anchors_from
from vecsetx.inference.domain import recenter_domain
from vecsetx.inference.observed import of_geometry, of_points, of_samples
from vecsetx.inference.posing import pose_remarks, rotation_of
from vecsetx.inference.recycling import recycle
from vecsetx.inference.refinement import RefinementSpec, refine
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.progress import counted_parts, stage
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe
from vecsetx.sampling.samples import Samples
from vecsetx.training.objective import ObjectiveSpec

__all__ = [
    "LATENTS_FACTOR",
    "POINTS_FACTOR",
    "REFINE_STEPS",
    "EncodeOptions",
    "EncodedHeart",
    "encode_heart",
    "encode_observation",
    "encode_source",
]

POINTS_FACTOR, LATENTS_FACTOR = 4, 2
"""How many times more points and latents a heart gets here than in training. Still more did not
help (lab log, 2026-11-22)."""

REFINE_STEPS = 10
"""Default number of refinement steps of a heart that is shown whole: the largest that makes
``vecsetx reconstruct`` take at most a fifth longer (lab log, 2026-11-28)."""


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How a heart is encoded.

    Attributes:
        label_set: The structures that ids and file names stand for; None for the model's own label
            set.
        hide: Structures hidden from the model.
        points: Number of surface points; None for four times as many as in training.
        latents: Number of latents; None for twice as many as in training, if the model is anchored
            (other models have a fixed number). More latents are slower, and more accurate up to a
            point.
        seed: Seed of the surface points, of an ensemble's members, and of refinement.
        refine: Largest number of refinement steps, which optimise the latent set on the observed
            structures; 0 for none. None for :data:`REFINE_STEPS` if the whole heart is shown with
            its distances, else none: by itself, refinement makes what is inferred worse.
        recycle: How often the reconstruction is fed back into the model
            (:func:`~vecsetx.inference.recycling.recycle`), before it is refined.
        pose: ``anatomy`` turns the heart as the model's training hearts lie, by where its chambers
            are; ``scan`` encodes it as it lies. The reconstruction is in the scan's coordinates
            with both.
        complete: Whether structures that are shown may go on within the scan, where it shows none
            of them (:mod:`~vecsetx.inference.as_shown`). Beyond its edge, they may with both.
    """

    label_set: LabelSet | None = None
    hide: tuple[str, ...] = ()
    points: int | None = None
    latents: int | None = None
    seed: int = 0
    refine: int | None = None
    recycle: int = 0
    pose: Literal["anatomy", "scan"] = "anatomy"
    complete: bool = False

    def refine_steps(self, whole: bool) -> int:
        """Return the number of refinement steps.

        Args:
            whole: Whether the whole heart is shown with its distances.
        """
        if self.refine is None:
            return REFINE_STEPS if whole else 0
        return self.refine


class EncodedHeart(NamedTuple):
    """A heart that a model has encoded.

    Attributes:
        field: The model's reconstruction.
        label_map: The heart's own label map, hidden structures included; None if its source has no
            volume.
        visibility: The parts of the heart that are observed.
        shown: The observation that the model's input was chosen from: surfaces in space, or
            labelled surface points.
        remarks: Notes for the user on the source, as sentences.
    """

    field: HeartField
    label_map: LabelMap | None
    visibility: Visibility
    shown: Geometry | Observation
    remarks: tuple[str, ...] = ()


def encode_source(
    source: HeartSource,
    trained: TrainedModel,
    options: EncodeOptions,
    before: Observation | None = None,
) -> EncodedHeart:
    """Read a heart from a source of any kind and encode it.

    Args:
        source: The heart.
        trained: The model.
        options: How it is encoded.
        before: Anchors of the same heart a moment before, from which its own begin
            (:func:`~vecsetx.inference.beginning.anchors_from`); it lies in the same frame.

    Raises:
        InputError: The heart cannot be read, nothing is left to show, or the options do not fit the
            model.
    """
    heart = source.read(trained.structures, options.seed, trained.mm_per_unit)
    if isinstance(heart, Segmentation):
        geometry = heart.geometry(options.hide)
        field = encode_heart(geometry, trained, options, before)
        label_map, visibility = heart.label_map, Visibility.of_geometry(geometry)
        shown = np.array(trained.structures)[geometry.present()].tolist()
        remarks = (*geometry.label_map.remarks, *pose_remarks(field.frame, shown))
        return EncodedHeart(field, label_map, visibility, geometry, remarks)
    remarks = ()
    if isinstance(heart, Samples):
        observation = _observe_samples(heart, trained, options)
        field = _encode_samples(heart, observation, trained, options)
        remarks = heart.info.remarks
    else:
        observation = _observe_points(heart, source.path, trained, options)
        field = _encode_points(observation, trained, options, before)
    visibility = Visibility.of_points(observation.structure, len(trained.structures))
    shown = [trained.structures[k] for k in np.unique(observation.structure)]
    remarks = (*remarks, *pose_remarks(field.frame, shown))
    return EncodedHeart(field, None, visibility, observation, remarks)


def encode_heart(
    geometry: Geometry,
    trained: TrainedModel,
    options: EncodeOptions,
    before: Observation | None = None,
) -> HeartField:
    """Encode a heart from its surfaces; ``before`` is as in :func:`encode_source`.

    Raises:
        InputError: The options do not fit the model.
    """
    points = POINTS_FACTOR * trained.points if options.points is None else options.points
    with stage("pose"):
        rotation = before.frame.rotation if before else _rotation(geometry, trained, options)
    with stage("sampling"):
        observation = observe(geometry, points, trained.mm_per_unit, options.seed, rotation)
    lacks = _lacks(trained.structures, geometry.present(), geometry.cut)
    field = _encoded(observation, geometry, trained, options, lacks, before)
    if not (steps := options.refine_steps(whole=not lacks)):
        return field
    with stage("sampling to refine"):
        observed = of_geometry(geometry, field.frame, options.seed)
    return _refined(field, observed, steps, options.seed)


def encode_observation(
    observation: Observation, trained: TrainedModel, options: EncodeOptions
) -> HeartField:
    """Encode labelled surface points.

    Refinement uses only that each point lies on the surface of its structure.

    Raises:
        InputError: The options do not fit the model.
    """
    turned = _turned(observation, observation.points_mm, trained, options)
    return _encode_points(turned, trained, options)


def _encode_points(
    observation: Observation,
    trained: TrainedModel,
    options: EncodeOptions,
    before: Observation | None = None,
) -> HeartField:
    """Encode labelled surface points in their own frame, or in that of the heart before."""
    field = _encoded(observation, observation, trained, options, "is points alone", before)
    if not (steps := options.refine_steps(whole=False)):
        return field
    shown = replace(observation, frame=field.frame)
    observed = of_points(shown, len(trained.structures))
    return _refined(field, observed, steps, options.seed)


def _encode_samples(
    samples: Samples, observation: Observation, trained: TrainedModel, options: EncodeOptions
) -> HeartField:
    """Encode the surface points of samples; refine on all of the samples."""
    names = trained.structures
    present = np.bincount(observation.structure, minlength=len(names)) > 0
    lacks = _lacks(names, present, np.isin(names, samples.info.cut))
    field = _encoded(observation, observation, trained, options, lacks)
    if not (steps := options.refine_steps(whole=not lacks)):
        return field
    observed = of_samples(samples, trained.structures, options.hide, field.frame)
    return _refined(field, observed, steps, options.seed)


def _observe_points(
    points: LabelledPoints, path: Path, trained: TrainedModel, options: EncodeOptions
) -> Observation:
    """Choose the model's input at random from the points of the structures that are not hidden.

    Raises:
        InputError: No point is left.
    """
    hidden = [trained.structures.index(name) for name in options.hide]
    left = np.flatnonzero(~np.isin(points.structure, hidden))
    if len(left) == 0:
        raise InputError(
            f"{path}: nothing is left after --hide {','.join(options.hide)}; hide fewer structures"
        )
    wanted = POINTS_FACTOR * trained.points if options.points is None else options.points
    # The first points of a permutation: fewer of them are a subset of more.
    chosen = np.random.default_rng(options.seed).permutation(left)[:wanted]
    points_mm, all_mm = points.points_mm[chosen].astype(np.float32), points.points_mm[left]
    frame = Frame.around(all_mm, trained.mm_per_unit)
    observation = Observation(points_mm, points.structure[chosen], None, frame)
    return _turned(observation, all_mm, trained, options)


def _observe_samples(
    samples: Samples, trained: TrainedModel, options: EncodeOptions
) -> Observation:
    """Take the first surface points, which are in random order, of the structures not hidden.

    Raises:
        InputError: No point is left of a structure that the model knows.
    """
    surface, names = samples.surface, np.array(samples.info.structures)
    known = np.isin(names, trained.structures) & ~np.isin(names, options.hide)
    left = np.flatnonzero(known[surface.structure])
    if len(left) == 0:
        raise InputError(
            f"{samples.info.name}: nothing is left to show of {', '.join(names)}; the model knows "
            f"{', '.join(trained.structures)}"
            + (f", without {', '.join(options.hide)}" if options.hide else "")
        )
    wanted = POINTS_FACTOR * trained.points if options.points is None else options.points
    chosen = left[:wanted]
    # From the samples' structures to the model's; −1, for those not known, is never looked up.
    number = np.array(
        [trained.structures.index(n) if k else -1 for n, k in zip(names, known, strict=True)]
    )
    all_mm = surface.points_mm[left]
    observation = Observation(
        surface.points_mm[chosen],
        number[surface.structure[chosen]],
        surface.normals[chosen],
        Frame.around(all_mm, trained.mm_per_unit),
    )
    return _turned(observation, all_mm, trained, options)


def _encoded(
    observation: Observation,
    shown: Geometry | Observation,
    trained: TrainedModel,
    options: EncodeOptions,
    lacks: str,
    before: Observation | None = None,
) -> HeartField:
    """Encode an observation, and recycle.

    Unless the observation is known to be the whole heart, the reconstruction may extend beyond it:
    the field's domain then moves to contain the whole reconstruction, and recycling adds points on
    the inferred parts.

    Args:
        observation: The labelled surface points.
        shown: The observation that they were sampled from.
        trained: The model.
        options: Latents, recycling and seed.
        lacks: What the observation lacks of a whole heart, in words; empty if it is known to be
            whole.
        before: As in :func:`encode_source`.
    """
    if before:
        observation = replace(observation, frame=before.frame)
    # 1. Encode; each latent needs a surface point of its own.
    spec = trained.network.spec
    latents = options.latents
    if latents is None and spec.queries != "learnable":
        latents = min(LATENTS_FACTOR * spec.anchors, len(observation.points_mm))
    limit = AsShown(shown) if isinstance(shown, Geometry) and not options.complete else None
    with stage("encoding"):
        anchors = anchors_from(before, observation) if before else None
        field = replace(trained.encode(observation, latents, anchors), limit=limit)
        if not lacks:
            return field
        # 2. Centre the domain on the whole reconstruction.
        shown_mm = shown.points_mm if isinstance(shown, Observation) else shown.vertices_mm()
        field = recenter_domain(field, shown_mm)
    # 3. Feed the reconstruction back.
    for _ in counted_parts(range(options.recycle), "recycling"):
        completed = recycle(observation, shown, field, trained, options.seed)
        field = replace(trained.encode(completed, latents), limit=limit)
        field = recenter_domain(field, shown_mm)
    return replace(field, lacks=lacks)


def _turned(
    observation: Observation, all_mm: np.ndarray, trained: TrainedModel, options: EncodeOptions
) -> Observation:
    """Turn the frame of labelled points as the model's hearts lie.

    Args:
        observation: The points.
        all_mm: All points that they were chosen from: the frame does not depend on the choice.
        trained: The model.
        options: Whether the frame is turned, and the seed.
    """
    rotation = _rotation(observation, trained, options)
    return replace(observation, frame=Frame.around(all_mm, trained.mm_per_unit, rotation))


def _rotation(
    observed: Geometry | Observation, trained: TrainedModel, options: EncodeOptions
) -> Rotation:
    return rotation_of(observed, trained, options.seed) if options.pose == "anatomy" else UPRIGHT


def _lacks(
    names: tuple[str, ...], present: Bool[np.ndarray, " k"], cut: Bool[np.ndarray, " k"]
) -> str:
    """Say what an observation lacks of a whole heart; empty if it is whole."""
    columns = list(zip(names, present, cut, strict=True))
    kinds = {
        "nothing of": [name for name, there, _ in columns if not there],
        "only a part of": [name for name, there, ends in columns if there and ends],
    }
    parts = [f"{kind} {', '.join(some)}" for kind, some in kinds.items() if some]
    return f"shows {' and '.join(parts)}" if parts else ""


def _refined(field: HeartField, observed: Batch, steps: int, seed: int) -> HeartField:
    objective = ObjectiveSpec(truncation=field.truncation)
    return refine(field, observed, objective, RefinementSpec(steps, seed=seed))
