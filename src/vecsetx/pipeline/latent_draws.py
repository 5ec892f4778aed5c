"""Several draws of a heart's latent set, each from a random part of what is observed.

What the draws vary was measured on phantoms with three of ten structures hidden (lab log,
2026-11-23): points alone tell too little of what is hidden. With few points and latents, and some
of what is observed hidden as well, the draws lie apart where the model is wrong.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from vecsetx.anatomy.frame import Frame
from vecsetx.errors import InputError
from vecsetx.model.field import HeartField
from vecsetx.model.saved import TrainedModel
from vecsetx.pipeline.hearts import EncodeOptions
from vecsetx.reconstruction.evidence import Evidence
from vecsetx.reconstruction.uncertainty import Ensemble
from vecsetx.sampling.geometry import Geometry
from vecsetx.sampling.sampler import Observation, observe

DRAWS = 8
"""Draws that give a standard deviation to about a quarter of itself."""

_POINTS, _LATENTS, _HIDDEN = 4, 2, 3
"""A draw has this part of the points and of the latents of training, and lacks this part of the
observed structures, if there are so many."""


def draw_ensemble(
    shown: Geometry | Observation,
    trained: TrainedModel,
    count: int,
    seed: int,
    factor: float | Float[np.ndarray, " k"] = 1.0,
    domain: Frame | None = None,
) -> Ensemble:
    """Show parts of a heart to a model.

    Each draw is shown a quarter of the points and has half of the latents of the training, whatever
    the heart itself is shown, so that a factor holds for all; and it lacks a random third of the
    observed structures, if there are three or more. Its frame is that of what it is shown. Draws
    are not refined.

    Args:
        shown: What is observed of the heart: structures in space, or labelled surface points.
        trained: The model.
        count: Draws, 1 or more.
        seed: Seed of all draws. The first of them are the same, however many there are.
        factor: As in :class:`~vecsetx.reconstruction.uncertainty.Ensemble`.
        domain: That of the heart's own field, about which the draws are asked; None: each about
            what it was shown.
    """
    drawn = [_draw(shown, trained, np.random.default_rng([seed, n])) for n in range(count)]
    fields = tuple(replace(field, domain=domain or field.domain) for field, _ in drawn)
    return Ensemble(fields, np.stack([present for _, present in drawn]), factor)


def refuse_draws_of_recycled(draws: int, options: EncodeOptions) -> None:
    """Raise :class:`InputError` if draws are asked for of hearts that are recycled.

    Their spread is calibrated for what a model makes at first.
    """
    if draws and options.recycle:
        raise InputError(
            f"--draws {draws} and --recycle {options.recycle} exclude each other: the standard "
            "deviations hold for what the model makes at first; ask for one of them"
        )


def _draw(
    shown: Geometry | Observation, trained: TrainedModel, generator: np.random.Generator
) -> tuple[HeartField, Bool[np.ndarray, " k"]]:
    """A draw, and which structures it was shown."""
    spec = trained.network.spec
    latents = max(spec.anchors // _LATENTS, 1) if spec.queries != "learnable" else None
    points = max(trained.points // _POINTS, latents or 1)
    present = _present(shown, len(trained.structures))
    hidden = np.zeros_like(present)
    names = np.flatnonzero(present)
    hidden[generator.permutation(names)[: len(names) // _HIDDEN]] = True
    if isinstance(shown, Geometry):
        left = shown.without(hidden)
        observation = observe(left, points, trained.mm_per_unit, int(generator.integers(2**32)))
    else:
        observation = _some(shown, hidden, points, generator)
    if latents is not None:
        latents = min(latents, len(observation.points_mm))
    return trained.encode(observation, latents), present & ~hidden


def _present(shown: Geometry | Observation, structure_count: int) -> Bool[np.ndarray, " k"]:
    if isinstance(shown, Geometry):
        return Evidence.of_geometry(shown).present
    return Evidence.of_points(shown.structure, structure_count).present


def _some(
    whole: Observation,
    hidden: Bool[np.ndarray, " k"],
    count: int,
    generator: np.random.Generator,
) -> Observation:
    """So many points of structures that are not hidden, at most half of them."""
    left = np.flatnonzero(~hidden[whole.structure])
    chosen = generator.permutation(left)[: min(count, -(-len(left) // 2))]
    points_mm, normals = whole.points_mm[chosen], whole.normals
    frame = Frame.around(points_mm, whole.frame.mm_per_unit)
    drawn = None if normals is None else normals[chosen]
    return Observation(points_mm, whole.structure[chosen], drawn, frame)
