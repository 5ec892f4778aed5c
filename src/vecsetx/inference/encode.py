"""One heart through a model: read, observe, encode."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.batch import Batch
from vecsetx.errors import InputError
from vecsetx.formats.source import HeartSource
from vecsetx.inference.domain import recenter_domain
from vecsetx.inference.observed import of_geometry, of_points, of_samples
from vecsetx.inference.recycling import recycle
from vecsetx.inference.refinement import RefinementSpec, refine
from vecsetx.inference.visibility import Visibility
from vecsetx.model.heart_field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.npz.layout import read_npz
from vecsetx.sampling.sampler import Observation, observe
from vecsetx.sampling.samples import Samples, SamplesFile
from vecsetx.training.objective import ObjectiveSpec

POINTS_FACTOR, LATENTS_FACTOR = 4, 2
"""How many times more points and latents a heart gets in use than in training. More than these did
not help (lab log, 2026-11-22)."""


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """How a heart is shown to a model.

    Attributes:
        label_set: What ids and file names mean; None for the model's own label set.
        drop: Structures hidden from the model.
        points: Surface points; None for four times as many as in training.
        latents: Latents of the set; None for twice as many as in training, where the model is
            anchored (others cannot change it). More are more accurate up to a point, and slower.
        seed: Seed of the surface points, and of draws of the latent set.
        refine: Steps at most in which the latent set is improved on what is observed; 0 for none.
        recycle: How often the model is shown again what it made of the heart
            (:func:`~vecsetx.inference.recycling.recycle`), before it is refined.
    """

    label_set: LabelSet | None = None
    drop: tuple[str, ...] = ()
    points: int | None = None
    latents: int | None = None
    seed: int = 0
    refine: int = 0
    recycle: int = 0


def read_heart(
    source: HeartSource, structures: tuple[str, ...], drop: Collection[str] = ()
) -> tuple[LabelMap, Geometry]:
    """A heart's label map, and the heart as a model is shown it.

    Args:
        source: Where it comes from: label map, masks or meshes.
        structures: The model's K structures.
        drop: Those hidden from the model; they stay in the label map.

    Returns:
        Labels 1…K, on the heart's own grid (surfaces get one); and the structures in space.

    Raises:
        InputError: The heart cannot be read, or nothing of it is left to show.
    """
    hidden = [structures.index(name) + 1 for name in drop]
    if source.kind == "meshes":
        whole = Geometry.of_surfaces(source.surfaces(structures))
        shown = np.array([k not in hidden for k in range(1, len(structures) + 1)])
        truth, left = whole.label_map, shown & whole.present()
    else:
        truth = source.label_map(structures)
        shown_map = truth.without(hidden)
        left = shown_map.labels
    if not left.any():
        raise InputError(f"{source.path}: nothing is left after --drop {','.join(drop)}")
    if source.kind == "meshes":
        return truth, whole.without(~shown)
    return truth, Geometry.of_label_map(shown_map, len(structures))


class EncodedHeart(NamedTuple):
    """A heart that a model was shown.

    Attributes:
        field: What the model makes of it.
        label_map: Its own label map, whole, if it has one.
        visibility: What of it is observed.
        shown: What the model was shown: structures in space, or labelled surface points.
    """

    field: HeartField
    label_map: LabelMap | None
    visibility: Visibility
    shown: Geometry | Observation


def encode_source(
    source: HeartSource, trained: TrainedModel, options: EncodeOptions
) -> EncodedHeart:
    """Read a heart of any kind and show it to a model.

    Raises:
        InputError: The heart cannot be read, or the options do not fit the model.
    """
    if source.kind == "points":
        observation = observe_points(source, trained, options)
        field = encode_observation(observation, trained, options)
        visibility = Visibility.of_points(observation.structure, len(trained.structures))
        return EncodedHeart(field, None, visibility, observation)
    if source.kind in ("npz", "samples"):
        samples = read_samples(source, trained, options.seed)
        observation = observe_samples(samples, trained, options)
        whole = not samples.info.cut and len(np.unique(observation.structure)) == len(
            trained.structures
        )
        field = _encoded(observation, observation, trained, options, whole)
        if options.refine:
            observed = of_samples(samples, trained.structures, options.drop, field.frame)
            field = _refined(field, observed, options)
        visibility = Visibility.of_points(observation.structure, len(trained.structures))
        return EncodedHeart(field, None, visibility, observation)
    label_map, geometry = read_heart(source, trained.structures, options.drop)
    field = encode_heart(geometry, trained, options)
    return EncodedHeart(field, label_map, Visibility.of_geometry(geometry), geometry)


def encode_heart(geometry: Geometry, trained: TrainedModel, options: EncodeOptions) -> HeartField:
    """Show a heart to a model.

    Raises:
        InputError: The options do not fit the model.
    """
    points = POINTS_FACTOR * trained.points if options.points is None else options.points
    observation = observe(geometry, points, trained.mm_per_unit, options.seed)
    whole = bool(geometry.present().all() and not geometry.cut.any())
    field = _encoded(observation, geometry, trained, options, whole)
    if not options.refine:
        return field
    return _refined(field, of_geometry(geometry, field.frame, options.seed), options)


def observe_points(
    source: HeartSource, trained: TrainedModel, options: EncodeOptions
) -> Observation:
    """Labelled surface points of a file, as a model is shown them: as many as it takes, at random.

    Raises:
        InputError: The file holds no usable points, or none are left after dropping structures.
    """
    found = source.points(trained.structures)
    hidden = [trained.structures.index(name) for name in options.drop]
    left = np.flatnonzero(~np.isin(found.structure, hidden))
    if len(left) == 0:
        raise InputError(f"{source.path}: nothing is left after --drop {','.join(options.drop)}")
    wanted = POINTS_FACTOR * trained.points if options.points is None else options.points
    chosen = np.random.default_rng(options.seed).permutation(left)[:wanted]
    points_mm = found.points_mm[chosen]
    frame = Frame.around(found.points_mm[left], trained.mm_per_unit)
    return Observation(points_mm.astype(np.float32), found.structure[chosen], None, frame)


def read_samples(source: HeartSource, trained: TrainedModel, seed: int) -> Samples:
    """A heart's samples, of a prepared data set or another program's.

    Raises:
        InputError: The file cannot be read, or holds none of the model's structures.
    """
    if source.kind == "npz":
        return read_npz(source, trained.structures, seed, trained.mm_per_unit)
    return SamplesFile(source.path).read()


def observe_samples(samples: Samples, trained: TrainedModel, options: EncodeOptions) -> Observation:
    """A heart's surface points as a model is shown them; they stand in random order already.

    Raises:
        InputError: Nothing is left that the model knows.
    """
    surface, names = samples.surface, np.array(samples.info.structures)
    known = np.isin(names, trained.structures) & ~np.isin(names, options.drop)
    left = np.flatnonzero(known[surface.structure])
    if len(left) == 0:
        raise InputError(
            f"{samples.info.name}: nothing is left to show of {', '.join(names)}; the model knows "
            f"{', '.join(trained.structures)}"
            + (f", without {', '.join(options.drop)}" if options.drop else "")
        )
    wanted = POINTS_FACTOR * trained.points if options.points is None else options.points
    chosen = left[:wanted]
    number = np.array(
        [trained.structures.index(n) if k else -1 for n, k in zip(names, known, strict=True)]
    )
    return Observation(
        surface.points_mm[chosen],
        number[surface.structure[chosen]],
        surface.normals[chosen],
        Frame.around(surface.points_mm[left], trained.mm_per_unit),
    )


def encode_observation(
    observation: Observation, trained: TrainedModel, options: EncodeOptions
) -> HeartField:
    """Show labelled surface points to a model.

    Of such points it is known on whose surface they lie; nothing else is there to refine on.

    Raises:
        InputError: The options do not fit the model.
    """
    field = _encoded(observation, observation, trained, options, whole=False)
    if not options.refine:
        return field
    return _refined(field, of_points(observation, len(trained.structures)), options)


def _encoded(
    observation: Observation,
    shown: Geometry | Observation,
    trained: TrainedModel,
    options: EncodeOptions,
    whole: bool,
) -> HeartField:
    """The field, its domain about the whole heart, if not all of that is known to be shown."""
    spec = trained.network.spec
    latents = options.latents
    if latents is None and spec.queries != "learnable":
        latents = min(LATENTS_FACTOR * spec.anchors, len(observation.points_mm))
    field = trained.encode(observation, latents)
    if whole:
        return field
    shown_mm = shown.points_mm if isinstance(shown, Observation) else shown.vertices_mm()
    field = recenter_domain(field, shown_mm)
    for _ in range(options.recycle):
        again = recycle(observation, shown, field, trained, options.seed)
        field = recenter_domain(trained.encode(again, latents), shown_mm)
    return field


def _refined(field: HeartField, observed: Batch, options: EncodeOptions) -> HeartField:
    objective = ObjectiveSpec(truncation=field.truncation)
    return refine(field, observed, objective, RefinementSpec(options.refine, seed=options.seed))
