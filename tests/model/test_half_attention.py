"""Anchored attention in float16, on the CPU, whose fused kernel rounds as those of GPUs do."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.model.anchors import anchors_by_structure
from vecsetx.model.attention import Attention, anchored_attention
from vecsetx.model.half_attention import CELLS, _PositionChannels, project_in_half
from vecsetx.model.saved import TrainedModel
from vecsetx.model.vecset import ModelSpec
from vecsetx.training.memory import imitate_gpu

U = 2.0**-11
"""The largest relative error of a number rounded to float16."""

PLANES = 4
ALPHA = (1.0, 7.0, 45.0, 300.0)


def inputs(
    seed: int, extent: float = 0.8, centre: float = 0.0, alpha: tuple[float, ...] = ALPHA
) -> list[Tensor]:
    """Features as bfloat16 has them; queries near keys, which lie within an extent of a centre."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    features = [drawn(2, len(alpha), n, 32).bfloat16().double() for n in (60, 90, 90)]
    x_k = extent * (2 * torch.rand(2, 90, 3, generator=generator) - 1) + centre
    x_q = x_k[:, :60] + 0.02 * extent * drawn(2, 60, 3)
    return [*features, x_q.double(), x_k.double(), torch.tensor(alpha, dtype=torch.float64)]


def computed(arguments: list[Tensor], half: bool) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    kind = torch.float32 if half else torch.float64
    leaves = [argument.to(kind).requires_grad_() for argument in arguments]
    return leaves, anchored_attention(*leaves, PLANES, half=half)


def gradients(arguments: list[Tensor], half: bool, times: float = 1.0) -> tuple[Tensor, ...]:
    leaves, found = computed(arguments, half)
    generator = torch.Generator().manual_seed(1)
    into = [times * torch.randn(out.shape, generator=generator).to(out) for out in found]
    return torch.autograd.grad(found, leaves, into)


@given(
    seed=st.integers(0, 1000),
    power=st.floats(0, 5.5),
    extent=st.sampled_from([0.01, 1.0]),
    centre=st.sampled_from([0.0, 2.0]),
)
@settings(max_examples=25)
def test_logits_err_by_no_more_than_derived(
    seed: int, power: float, extent: float, centre: float
) -> None:
    """With α up to 300,000, and wherever the keys lie: positions are split, and from the middle."""
    *_, x_q, x_k, alpha = inputs(seed, extent, centre, (10**power,))
    middle = (x_k.amin(1, keepdim=True) + x_k.amax(1, keepdim=True)) / 2
    x_q, x_k, alpha = ((x_q - middle)[:, None], (x_k - middle)[:, None], alpha[:, None, None])
    singles = [x.float() for x in (x_q, x_k, alpha)]
    channels = _PositionChannels.of(*singles)
    nothing = torch.zeros(2, 1, 90, 0, dtype=torch.float16)
    rounded = [x.half() for x in (channels.a, channels.x, channels.n, channels.m)]
    parts = channels.appended(nothing[:, :, :60], nothing, *rounded)
    query, key = (torch.cat(part, dim=-1) for part in parts)
    assert query.isfinite().all()
    assert key.isfinite().all()
    found = query.double() @ key.double().mT
    x_q, x_k, alpha = (x.double() for x in singles)
    expected = -alpha * torch.cdist(x_q, x_k).square()
    lengths, others = x_q.norm(dim=-1, keepdim=True), x_k.norm(dim=-1)[:, :, None]
    sizes = alpha * ((lengths + others).square() + 2 * lengths * others)
    # Beside it, the channels' own computation in float32, and float16's smallest numbers.
    allowed = (U**2 + 2.0**-22) * sizes + 2.0**-22 * alpha.sqrt()
    assert ((found - expected).abs() <= allowed).all()


@given(seed=st.integers(0, 1000), centre=st.sampled_from([0.0, 3.0]))
@settings(max_examples=15)
def test_what_is_attended_errs_by_no_more_than_derived(seed: int, centre: float) -> None:
    """Wherever the keys lie; weights, rounded in the kernel, may err by U once more."""
    arguments = inputs(seed, centre=centre)
    _, (exact, exact_offset) = computed(arguments, half=False)
    _, (found, found_offset) = computed(arguments, half=True)
    value, alpha = arguments[2], arguments[5]
    alpha, extent = alpha[:, None, None], 0.8
    root = alpha.sqrt()
    feature_error = (found - exact).abs()[..., :-PLANES]
    assert (feature_error <= 3 * U * value[..., :-PLANES].abs().amax()).all()
    plane_error = (found - exact).abs()[..., -PLANES:]
    height, slope = value[..., -4 * PLANES : -3 * PLANES], value[..., -3 * PLANES :]
    steepest = slope.unflatten(-1, (-1, 3)).norm(dim=-1).amax()
    assert (plane_error <= 3 * U * (height.abs().amax() + 2 * root * steepest * extent)).all()
    error = (found_offset - exact_offset).abs()
    # A query may attend beyond its cell, by about its range 1/√(2α).
    reach = extent / CELLS + 2 / root
    assert (error[..., :3] <= 3 * U * root * reach).all()
    assert (error[..., 3:] <= 3 * U * alpha * 3 * 3 * reach.square()).all()
    # And on average far less: below the rounding of bfloat16, of numbers about 1.
    assert error.square().mean().sqrt() < 2.0**-9


@pytest.mark.parametrize("centre", [0.0, 3.0])
def test_gradients_are_as_exact_as_bfloat16(centre: float) -> None:
    """Also those of positions and α, which are small differences of large sums."""
    arguments = inputs(0, centre=centre)
    exact, found = gradients(arguments, half=False), gradients(arguments, half=True)
    allowed = [2.0**-7] * 6
    for of_exact, of_found, most in zip(exact, found, allowed, strict=True):
        assert (of_found - of_exact).norm() < most * of_exact.norm()


@pytest.mark.parametrize("exponent", [-60, -24, 40])
def test_gradients_of_any_size_are_the_same(exponent: int) -> None:
    """To the last bit: the backward pass scales by powers of two."""
    arguments = inputs(0)
    usual, found = gradients(arguments, True), gradients(arguments, True, 2.0**exponent)
    for of_usual, of_found in zip(usual, found, strict=True):
        assert torch.equal(of_usual * 2.0**exponent, of_found)


def test_no_gradient_overflows() -> None:
    """All queries attend to one key, and pull it the same way."""
    query, key, value, x_q, x_k, alpha = inputs(0)
    query, key = torch.full_like(query, 100), torch.full_like(key, -100)
    key[:, :, 7] = 100
    leaves, found = computed([query, key, 1000 * value, x_q, x_k, alpha], half=True)
    into = [1e6 * torch.ones_like(out) for out in found]
    for gradient in torch.autograd.grad(found, leaves, into):
        assert gradient.isfinite().all()


def test_no_gradient_stays_none() -> None:
    arguments = inputs(0)
    assert all((gradient == 0).all() for gradient in gradients(arguments, True, 0.0))


def test_equal_positions_are_no_extent() -> None:
    query, key, value, _, x_k, alpha = inputs(0)
    x_k = x_k[:, :1].expand_as(x_k)
    arguments = [query, key, value, x_k[:, :60], x_k, alpha]
    _, exact = computed(arguments, half=False)
    _, found = computed(arguments, half=True)
    for of_exact, of_found in zip(exact, found, strict=True):
        torch.testing.assert_close(of_found.double(), of_exact, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("size", [1.0, 1e-7])
def test_projections_are_finer_than_autocast_s_and_learn_as_its_do(size: float) -> None:
    torch.manual_seed(0)
    features, weight, bias, into = (
        torch.randn(shape) for shape in ((2, 50, 64), (32, 64), (32,), (2, 50, 32))
    )
    # Large numbers whose sums are small, as the parts of planes are.
    features[..., 32:] = features[..., :32] + 0.02 * features[..., 32:]
    weight[:, 32:] = -weight[:, :32]
    leaves = [x.requires_grad_() for x in (features, weight, bias)]
    doubles = [x.detach().double().requires_grad_() for x in leaves]
    exact = torch.nn.functional.linear(*doubles)
    with torch.autocast("cpu", torch.bfloat16):
        finer, usual = project_in_half(*leaves), torch.nn.functional.linear(*leaves)
    assert finer.dtype == usual.dtype == torch.bfloat16
    assert (finer - exact).norm() < 0.2 * (usual - exact).norm()
    expected = torch.autograd.grad(exact, doubles, size * into.double())
    for of_exact, of_found in zip(
        expected, torch.autograd.grad(finer, leaves, size * into.bfloat16()), strict=True
    ):
        assert (of_found - of_exact).norm() < 2.0**-7 * of_exact.norm()


def test_only_autocast_on_nvidia_s_gpus_computes_in_half(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = Attention(32, 4, anchored=True)
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert not attention._runs_in_half(gpu)
    with torch.autocast("cpu", torch.bfloat16):
        assert not attention._runs_in_half(cpu)
        attention.in_half = True
        assert attention._runs_in_half(cpu)
        attention.in_half = None
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    assert attention._runs_in_half(gpu)
    assert not attention._runs_in_half(torch.device("mps"))
    monkeypatch.setattr(torch.version, "hip", "7.0")
    assert not attention._runs_in_half(gpu)


def test_half_precision_is_no_farther_from_single_than_autocast_alone(
    dataset: DataSet, trained_run: Path
) -> None:
    """Distances of a trained model, mm, with norms as on a GPU."""
    trained = TrainedModel.from_pretrained(trained_run / "model")
    model = trained.network.eval()
    imitate_gpu(model)
    spec = BatchSpec(hearts=3, points=256, surface=64, near=512, volume=256)
    batch = TrainingBatches(dataset, dataset.of_split("train"), spec, None, 0).batch(0)
    anchors = anchors_by_structure(batch.points, batch.structure, model.spec.anchors)
    queries = torch.cat([group.points for group in batch.queries.values()], dim=1)

    def distances(half: bool, autocast: bool = True) -> Tensor:
        for module in model.modules():
            if isinstance(module, Attention):
                module.in_half = half
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return model(batch.points, batch.structure, anchors, queries, batch.normals)

    single, usual, half = distances(False, False), distances(False), distances(True)
    counts = single.abs() < trained.truncation
    usual, half = (trained.mm_per_unit * (x - single).abs()[counts] for x in (usual, half))
    assert counts.sum() > 1000
    assert not torch.equal(usual, half)
    assert half.mean() <= usual.mean()
    assert half.quantile(0.99) <= usual.quantile(0.99)


def test_half_precision_trains_the_same_twice_and_when_recomputed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Attention, "in_half", True)
    spec = ModelSpec(latents=16, width=32, heads=4, layers=1, structure_latents=2)
    generator = torch.Generator().manual_seed(0)
    points, queries = (torch.rand(2, n, 3, generator=generator) for n in (64, 24))
    structure = torch.randint(0, 3, (2, 64), generator=generator)
    anchors = torch.stack([torch.randperm(64, generator=generator)[:16] for _ in range(2)])

    def found(recompute: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = spec.build(3).train()
        model.recompute = recompute
        with torch.autocast("cpu", torch.bfloat16):
            output = model(points, structure, anchors, queries)
        (1e-7 * output.square().mean()).backward()
        return [output, *(p.grad for p in model.parameters() if p.grad is not None)]

    once = found(False)
    assert all((gradient != 0).any() for gradient in once)
    for again in (found(False), found(True)):
        assert all(map(torch.equal, once, again))
