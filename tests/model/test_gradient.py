from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vecsetx.model.gradient import spatial_gradients
from vecsetx.model.vecset import LatentSet, ModelSpec, VecSetAutoEncoder
from vecsetx.training.objective import eikonal_error, normal_error

SMALL = ModelSpec(latents=16, width=32, heads=4, layers=1, frequencies=4)
FORMS = {
    "anchored": SMALL,
    "point": replace(SMALL, queries="point"),
    "learnable": replace(SMALL, queries="learnable"),
    "union": replace(SMALL, field="union"),
    "no feed-forward": replace(SMALL, queries="learnable", decoder_feed_forward=False),
    "kl": replace(SMALL, bottleneck="kl"),
    "none": replace(SMALL, bottleneck="none"),
    "no normals": replace(SMALL, normals=False),
}


def shown(precision: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Points, structure, anchors, normals and query points of two hearts."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(2, 64, 3, generator=generator, dtype=precision) * 2 - 1
    structure = torch.randint(0, 3, (2, 64), generator=generator)
    anchors = torch.stack([torch.randperm(64, generator=generator)[:16] for _ in range(2)])
    normals = torch.nn.functional.normalize(points, dim=-1)
    return points, structure, anchors, normals, 0.9 * points[:, :40].flip(1) + 0.01


def encoded(model: VecSetAutoEncoder) -> tuple[LatentSet, Tensor]:
    precision = next(model.parameters()).dtype
    points, structure, anchors, normals, _ = shown(precision)
    torch.manual_seed(1)  # the noise of a KL bottleneck
    latent_set = model.encode(points, structure, anchors, normals)
    return latent_set, model.process(latent_set)


def field_of(model: VecSetAutoEncoder, unfused: bool = True) -> Callable[[Tensor], Tensor]:
    latent_set, tokens = encoded(model)
    return lambda points: model.head.fields(
        model.head_output(tokens, latent_set.positions, points, unfused)
    )


def by_double_backward(field: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The slow, obvious way: one backward pass per structure, itself differentiable."""
    points = points.clone().requires_grad_()
    values = field(points)
    gradients = [
        torch.autograd.grad(values[..., k].sum(), points, create_graph=True)[0]
        for k in range(values.shape[-1])
    ]
    return torch.stack(gradients, dim=2)


def weight_gradients(model: VecSetAutoEncoder, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
        for name, weight in model.named_parameters()
    }


def built(spec: ModelSpec) -> VecSetAutoEncoder:
    torch.manual_seed(0)
    return spec.build(3).double().train()


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("form", FORMS)
def test_gradients_and_their_derivatives_equal_double_backward(form: str, recompute: bool) -> None:
    model = built(FORMS[form])
    model.recompute = recompute
    *_, queries = shown()
    found = spatial_gradients(field_of(model), queries, chunk_points=16)
    loss = (found.norm(dim=-1) - 1).square().mean()
    ours = weight_gradients(model, loss)
    expected = by_double_backward(field_of(model), queries)
    theirs = weight_gradients(model, (expected.norm(dim=-1) - 1).square().mean())
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for name, gradient in theirs.items():
        scale = gradient.abs().max().clamp(min=1e-9)
        assert (ours[name] - gradient).abs().max() <= 1e-6 * scale, name


@pytest.mark.parametrize("form", ["anchored", "learnable", "union"])
def test_keys_values_and_latents_receive_the_second_order_gradient(form: str) -> None:
    """Where a fused kernel cuts it, they silently receive none."""
    model = built(FORMS[form])
    latent_set, tokens = encoded(model)
    tokens.retain_grad()
    latent_set.latents.retain_grad()
    *_, queries = shown()

    def field(points: Tensor) -> Tensor:
        return model.head.fields(model.head_output(tokens, latent_set.positions, points, True))

    spatial_gradients(field, queries).square().sum().backward()
    width = model.spec.width
    key_value = model.decoder.attention.to_key_value.weight.grad
    assert key_value is not None
    keys, values = key_value[:width], key_value[width:]
    for received in (tokens.grad, latent_set.latents.grad, keys, values):
        assert received is not None
        assert received.abs().max() > 1e-6


def test_the_plain_way_gives_the_same_values() -> None:
    for spec in FORMS.values():
        model = built(spec)
        *_, queries = shown()
        unfused, fused = field_of(model, True)(queries), field_of(model, False)(queries)
        torch.testing.assert_close(unfused, fused, rtol=1e-9, atol=1e-9)


def test_gradients_keep_single_precision_under_bf16() -> None:
    """Rounded to bfloat16, they would be off by more than a tenth."""
    torch.manual_seed(0)
    model = SMALL.build(3).train()
    *_, queries = shown(torch.float32)
    field = field_of(model)
    exact = spatial_gradients(field, queries)
    with torch.autocast("cpu", torch.bfloat16):
        found = spatial_gradients(field, queries)
        rounded = by_double_backward(field, queries)
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)
    assert (rounded - exact).abs().max() > 0.01 * exact.abs().max()


def test_gradients_of_spheres_are_unit_normals() -> None:
    points = torch.nn.functional.normalize(torch.randn(1, 500, 3, dtype=torch.float64), dim=-1)
    points = points * torch.linspace(0.2, 0.8, 500, dtype=torch.float64)[:, None]

    def spheres(at: Tensor) -> Tensor:
        return at.norm(dim=-1, keepdim=True) - torch.tensor([0.3, 0.6], dtype=at.dtype)

    found = spatial_gradients(spheres, points)
    outward = points / points.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(found, outward[:, :, None].expand(-1, -1, 2, -1))
    assert eikonal_error(found).max() < 1e-12
    torch.testing.assert_close(eikonal_error(2 * found), torch.ones(found.shape[:3]).double())
    assert normal_error(found[:, :, 0], outward).max() < 1e-12
    opposite = normal_error(found[:, :, 0], -outward)
    torch.testing.assert_close(opposite, torch.full_like(opposite, 2.0))


def test_nothing_is_kept_of_what_lies_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the points are kept for the backward pass with hardly more than themselves."""

    def kept_bytes(count: int) -> int:
        model = SMALL.build(3).train()
        latent_set, tokens = encoded(model)
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        def field(points: Tensor) -> Tensor:
            return model.head.fields(model.head_output(tokens, latent_set.positions, points, True))

        points = torch.rand(2, count, 3)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            spatial_gradients(field, points).square().sum()
        return sum(sizes.values())

    few, many = kept_bytes(64), kept_bytes(640)
    gradients_and_points = 2 * 576 * 3 * (3 + 1) * 4
    assert many - few <= 3 * gradients_and_points
