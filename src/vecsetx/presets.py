"""Recipes by name, for anything from a laptop to a cluster.

Those named ``…-partial`` train models that complete partially observed hearts, and so does
``general``.
"""

from dataclasses import replace

from vecsetx.data.augment import AugmentSpec
from vecsetx.data.draw import BatchSpec
from vecsetx.data.partial import PartialSpec
from vecsetx.errors import InputError
from vecsetx.model.vecset import ModelSpec
from vecsetx.recipe import Recipe
from vecsetx.suggestions import unknown
from vecsetx.training.objective import ObjectiveSpec
from vecsetx.training.optimizer import OptimizerSpec
from vecsetx.training.spec import TrainingSpec

__all__ = ["PARTIAL", "PRESETS", "preset"]

PARTIAL = PartialSpec(hide=0.8, cut=0.3, sparse=0.2, planes=0.2)
"""What the presets named ``…-partial`` hide, except for the smallest; in full after the first fifth
of a run of one process."""

PRESETS: dict[str, Recipe] = {
    # Minutes on two CPU cores.
    "tiny": Recipe(),
    # An hour on one GPU.
    "small": Recipe(
        model=ModelSpec(latents=512, width=256, heads=8, layers=8, expansion=4),
        batch=BatchSpec(hearts=16, points=4096, surface=512, near=1024, volume=512),
        optimizer=OptimizerSpec(muon_lr=0.003, adamw_lr=0.001),
        training=TrainingSpec(steps=20_000, validate_every=1000),
    ),
    # A day on one GPU.
    "base": Recipe(
        model=ModelSpec(latents=1024, width=512, heads=8, layers=12, expansion=4),
        batch=BatchSpec(hearts=32, points=8192, surface=512, near=1024, volume=512),
        optimizer=OptimizerSpec(muon_lr=0.002, adamw_lr=0.0005),
        training=TrainingSpec(steps=60_000, validate_every=2000),
    ),
    # The configuration of the original multi-class VecSetX (425 M weights): learnable queries,
    # standard attention, 24 blocks of 1024 channels, 1024 latents of 16.
    "large": Recipe(
        model=ModelSpec(
            queries="learnable",
            normals=False,
            latents=1024,
            latent_channels=16,
            width=1024,
            heads=16,
            layers=24,
            expansion=4,
            decoder_feed_forward=False,
        ),
        batch=BatchSpec(hearts=64, points=8192, surface=1024, near=1024, volume=1024),
        optimizer=OptimizerSpec(muon_lr=0.001, adamw_lr=0.00025),
        training=TrainingSpec(steps=100_000, validate_every=2000, recompute=True),
    ),
}
PRESETS |= {
    f"{name}-partial": replace(
        PRESETS[name],
        partial=replace(PARTIAL, ramp=steps * PRESETS[name].batch.hearts // 5),
        training=replace(PRESETS[name].training, steps=steps),
    )
    for name, steps in {"tiny": 2400, "small": 30_000, "base": 90_000, "large": 150_000}.items()
}
# Runs as short as this learn observed structures less well if more is hidden.
PRESETS["tiny-partial"] = replace(
    PRESETS["tiny-partial"],
    partial=PartialSpec(hide=0.6, cut=0.2, sparse=0.1, planes=0.1),
    objective=ObjectiveSpec(inferred=0.3),
)

# Hours on one CPU core: the built-in model, of variants of hearts (vecsetx vary), a part of them
# hidden.
PRESETS["general"] = Recipe(
    augment=AugmentSpec(rotation_deg=15.0),
    partial=replace(PARTIAL, hide=0.4, ramp=8000),
    optimizer=OptimizerSpec(muon_lr=0.004, adamw_lr=0.0015),
    training=TrainingSpec(steps=20_000, average=0.999, validate_every=1000),
)


def preset(name: str) -> Recipe:
    """The recipe with a name; :class:`InputError` if there is none."""
    if name not in PRESETS:
        raise InputError(unknown("preset", name, PRESETS))
    return PRESETS[name]
