"""Improving a heart's latent set on what is observed of it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.runs import ENVIRONMENT, RECIPE

from vecsetx.data.batch import Batch
from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import source_of
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.observed import of_geometry, of_points
from vecsetx.inference.refinement import RefinementSpec, _Adam, refine
from vecsetx.model.heart_field import HeartField
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.sampler import observe
from vecsetx.training.objective import ObjectiveSpec, latent_objective

SPEC = RefinementSpec(steps=40, points=256)
OBJECTIVE = ObjectiveSpec()


@pytest.fixture(scope="module")
def geometry(dataset: DataSet) -> Geometry:
    return source_of(dataset, dataset.hearts[0]).segmentation(dataset.structures).geometry()


@pytest.fixture(scope="module")
def observation(geometry: Geometry) -> Observation:
    return observe(geometry, 512, 85.0, seed=0)


@pytest.fixture(scope="module")
def field(dataset: DataSet, observation: Observation) -> HeartField:
    torch.manual_seed(0)
    model = RECIPE.model.build(len(dataset.structures)).eval()
    return HeartField.encode(model, dataset.structures, observation, OBJECTIVE.truncation)


@pytest.fixture(scope="module")
def observed(geometry: Geometry, field: HeartField) -> Batch:
    return of_geometry(geometry, field.frame, seed=0)


def loss(field: HeartField, batch: Batch) -> float:
    with torch.no_grad():
        return float(latent_objective(field.model, field.latent_set, batch, OBJECTIVE)[0])


def test_the_heart_is_nearer_to_points_that_were_never_shown(
    field: HeartField, observed: Batch, geometry: Geometry
) -> None:
    weights = {name: value.clone() for name, value in field.model.state_dict().items()}
    refined = refine(field, observed, OBJECTIVE, SPEC)
    others = of_geometry(geometry, field.frame, seed=7)
    assert refined.refinement is not None
    assert refined.refinement.loss_before == pytest.approx(loss(field, others), rel=0.05)
    assert refined.refinement.loss_after == pytest.approx(loss(refined, others), rel=0.05)
    assert loss(refined, others) < 0.9 * loss(field, others)
    # The errors are those of the reconstruction at the observed surfaces.
    errors_mm = refined.refinement.error_mm_before, refined.refinement.error_mm_after
    for made, error_mm in zip((field, refined), errors_mm, strict=True):
        assert error_mm == pytest.approx(surface_error_mm(made, geometry), rel=0.1)
    for name, value in field.model.state_dict().items():
        assert torch.equal(value, weights[name])
    points = observation_like(geometry)
    expected = field.model.decode(refined.latent_set, field_units(refined, points))
    found = refined.distances_mm(points)
    np.testing.assert_allclose(
        found, refined.frame.length_to_mm(expected[0].detach().numpy()), atol=1e-4
    )


def surface_error_mm(field: HeartField, geometry: Geometry) -> float:
    """Mean distance of other points of the surfaces to their structures."""
    others = observe(geometry, 4000, 85.0, seed=9)
    distances = field.distances_mm(others.points_mm)[np.arange(4000), others.structure]
    return float(np.abs(distances).mean())


def observation_like(geometry: Geometry) -> np.ndarray:
    return geometry.vertices_mm()[:50]


def field_units(field: HeartField, points_mm: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(field.frame.to_unit(points_mm).astype(np.float32))[None]


def test_the_same_seed_gives_the_same(field: HeartField, observed: Batch) -> None:
    one, other = (refine(field, observed, OBJECTIVE, replace(SPEC, steps=10)) for _ in range(2))
    assert torch.equal(one.latent_set.latents, other.latent_set.latents)
    assert one.refinement == other.refinement


def test_what_gets_worse_is_left_as_it_was(field: HeartField, observed: Batch) -> None:
    wild = replace(SPEC, rate=1e30, every=5)
    refined = refine(field, observed, OBJECTIVE, wild)
    assert torch.equal(refined.latent_set.latents, field.latent_set.latents)
    assert refined.refinement is not None
    assert refined.refinement.loss_after == refined.refinement.loss_before
    assert refined.refinement.steps == 0


def test_it_ends_when_nothing_is_gained(
    field: HeartField, observed: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    step = _Adam.step
    monkeypatch.setattr(_Adam, "step", lambda *args: steps.append(1) or step(*args))
    refine(field, observed, OBJECTIVE, replace(SPEC, least_gain=1.0, every=4, patience=2))
    assert len(steps) == 8


def test_what_is_not_known_pulls_at_nothing(
    field: HeartField, observed: Batch, geometry: Geometry
) -> None:
    hidden = np.zeros(len(field.structures), dtype=bool)
    hidden[3] = True
    without = of_geometry(geometry.without(hidden), field.frame, seed=0)
    changed = replace(without, near=without.near.map(torch.Tensor.clone))
    changed.near.distances[:, :, 3] = -0.05
    assert torch.all(without.near.known[:, :, 3] == -torch.inf)
    one, other = (
        refine(field, batch, OBJECTIVE, replace(SPEC, steps=5)) for batch in (without, changed)
    )
    assert torch.equal(one.latent_set.latents, other.latent_set.latents)
    changed.near.distances[:, :, 2] = -0.05
    different = refine(field, changed, OBJECTIVE, replace(SPEC, steps=5))
    assert not torch.equal(different.latent_set.latents, one.latent_set.latents)


def test_labelled_points_alone_draw_surfaces_to_them(
    field: HeartField, observation: Observation, geometry: Geometry
) -> None:
    refined = refine(field, of_points(observation, len(field.structures)), OBJECTIVE, SPEC)
    before, after = (surface_error_mm(made, geometry) for made in (field, refined))
    assert after < 0.85 * before


def test_its_steps_are_those_of_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 20, 8, generator=generator)
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    optimizer, reference = _Adam(ours, 0.01), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(20):
        gradient = torch.randn(start.shape, generator=generator)
        optimizer.step(gradient)
        theirs.grad = gradient.clone()
        reference.step()
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, start)


def test_no_process_waits_for_a_library_that_it_does_not_need() -> None:
    script = """
import sys, torch, vecsetx.commands.evaluate
from vecsetx.inference.refinement import _Adam
_Adam(torch.zeros(3), 0.1).step(torch.ones(3))
print([name for name in ("torch._dynamo", "scipy.stats") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr
