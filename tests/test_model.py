from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.anatomy.structures import label_set
from vecsetx.errors import InputError
from vecsetx.model.attention import Attention, anchored_attention
from vecsetx.model.bottleneck import NormalizedBottleneck
from vecsetx.model.saved import TrainedModel, parameter_count, read_structures
from vecsetx.model.vecset import ModelSpec, VecSetAutoEncoder
from vecsetx.presets import PRESETS

SMALL = ModelSpec(latents=16, width=32, heads=4, layers=2)
PLAIN = replace(SMALL, queries="learnable")


def hearts(count: int = 2, points: int = 64, queries: int = 24, structures: int = 3):
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(count, points, 3, generator=generator) * 2 - 1,
        torch.randint(0, structures, (count, points), generator=generator),
        torch.stack([torch.randperm(points, generator=generator)[:16] for _ in range(count)]),
        torch.rand(count, queries, 3, generator=generator) * 2 - 1,
    )


def built(spec: ModelSpec) -> VecSetAutoEncoder:
    torch.manual_seed(0)
    return spec.build(3).eval()


@given(seed=st.integers(0, 1000))
def test_anchored_attention_equals_its_plain_twin(seed: int) -> None:
    torch.manual_seed(seed)
    query, key, value = (torch.randn(2, 4, n, 16, dtype=torch.float64) for n in (10, 14, 14))
    x_q, x_k = torch.randn(2, 10, 3).double(), torch.randn(2, 14, 3).double()
    alpha = torch.tensor([0.1, 1.0, 10.0, 300.0], dtype=torch.float64)

    squared = torch.cdist(x_q, x_k).square()[:, None]
    logits = query @ key.mT / 16**0.5 - alpha[:, None, None] * squared
    weights = logits.softmax(-1)
    mean = weights @ x_k[:, None]
    offset = alpha[:, None, None].sqrt() * (mean - x_q[:, None])
    spread = alpha[:, None, None] * (weights * squared).sum(-1, keepdim=True)

    numbers, height, slope = value.split([8, 2, 6], dim=-1)
    apart = x_q[:, None, :, None, None] - x_k[:, None, None, :, None]  # b 1 q k 1 3
    slope = alpha.sqrt()[:, None, None, None] * slope.unflatten(-1, (2, 3))
    plane = height[:, :, None] + (slope[:, :, None] * apart).sum(-1)  # b h q k p
    blended = (weights[..., None] * plane).sum(-2)

    found, found_offset = anchored_attention(query, key, value, x_q, x_k, alpha, planes=2)
    expected = torch.cat([weights @ numbers, blended], dim=-1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found_offset, torch.cat([offset, spread], -1), rtol=1e-6, atol=1e-6)


def test_positions_keep_full_precision_under_bf16() -> None:
    """bf16 would move a key at 1 unit by up to 0.3 mm; a local head must still find its own."""
    torch.manual_seed(0)
    attention = Attention(32, 4, anchored=True)
    with torch.no_grad():
        attention.log_alpha.fill_(float(np.log(3e5)))
    keys = torch.rand(1, 500, 3) * 0.02 + 0.98
    tokens, context = torch.zeros(1, 50, 32), torch.randn(1, 500, 32)
    with torch.no_grad():
        exact = attention(tokens, context, keys[:, :50], keys)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = attention(tokens, context, keys[:, :50], keys)
    assert (exact - rounded).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize("spec", [SMALL, PLAIN], ids=["anchored", "learnable"])
def test_the_order_of_points_does_not_matter(spec: ModelSpec) -> None:
    model = built(spec)
    points, structure, anchors, queries = hearts()
    order = torch.randperm(points.shape[1])
    moved_anchors = torch.argsort(order)[anchors]
    with torch.no_grad():
        before = model(points, structure, anchors, queries)
        after = model(points[:, order], structure[:, order], moved_anchors, queries)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spec", [SMALL, PLAIN], ids=["anchored", "learnable"])
def test_every_weight_learns_and_structures_matter(spec: ModelSpec) -> None:
    model = built(spec).train()
    points, structure, anchors, queries = hearts()
    model(points, structure, anchors, queries).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    with torch.no_grad():
        one = model(points, structure, anchors, queries)
        other = model(points, (structure + 1) % 3, anchors, queries)
    assert (one - other).abs().max() > 1e-4


def test_queries_are_independent_of_each_other() -> None:
    model = built(SMALL)
    points, structure, anchors, queries = hearts()
    with torch.no_grad():
        latent_set = model.encode(points, structure, anchors)
        together = model.decode(latent_set, queries)
        alone = model.decode(latent_set, queries[:, 5:6])
    torch.testing.assert_close(together[:, 5:6], alone, rtol=1e-4, atol=1e-5)


def test_latents_are_normalised() -> None:
    torch.manual_seed(0)
    latents = NormalizedBottleneck(32, 8).compress(100 * torch.randn(2, 5, 32) + 7).latents
    assert latents.shape == (2, 5, 8)
    torch.testing.assert_close(latents.mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.var(-1, unbiased=False), torch.ones(2, 5), atol=1e-3, rtol=0)


def test_the_number_of_latents_is_free_at_run_time() -> None:
    model = built(SMALL)
    points, structure, anchors, queries = hearts()
    with torch.no_grad():
        fewer = model(points, structure, anchors[:, :9], queries)
    assert fewer.shape == (2, 24, 3)


def test_large_is_the_record_s_size() -> None:
    with torch.device("meta"):
        count = parameter_count(PRESETS["large"].model.build(10))
    assert count == pytest.approx(425e6, rel=0.01)


@pytest.mark.parametrize("spec", [SMALL, PLAIN], ids=["anchored", "learnable"])
def test_saved_and_loaded_gives_the_same_output_bit_for_bit(
    spec: ModelSpec, tmp_path: Path
) -> None:
    model = built(spec)
    trained = TrainedModel(
        model, ("LV", "RV", "LA"), label_set("default"), 80.0, 0.1, 64, {"seed": 0}
    )
    trained.save(tmp_path / "run" / "model")
    again = TrainedModel.load(tmp_path / "run")
    with torch.no_grad():
        assert torch.equal(model(*hearts()), again.network(*hearts()))
    assert replace(again, network=model) == trained
    assert read_structures(tmp_path / "run" / "model") == ("LV", "RV", "LA")


def test_damaged_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no trained model"):
        TrainedModel.load(tmp_path)
    trained = TrainedModel(
        built(SMALL), ("LV", "RV", "LA"), label_set("default"), 80.0, 0.1, 64, {}
    )
    trained.save(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="damaged model"):
        TrainedModel.load(tmp_path)
