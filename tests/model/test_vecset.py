from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vecsetx.model.attention import Attention, anchored_attention
from vecsetx.model.bottleneck import KLBottleneck, NoBottleneck, NormalizedBottleneck
from vecsetx.model.heads import LOGITS_PER_UNIT, DistanceHead, UnionHead
from vecsetx.model.vecset import ModelSpec, VecSetAutoEncoder
from vecsetx.model.weights import parameter_count
from vecsetx.presets import PRESETS

SMALL = ModelSpec(latents=16, width=32, heads=4, layers=2)
PLAIN = replace(SMALL, queries="learnable")
FORMS = {
    "anchored": SMALL,
    "point": replace(SMALL, queries="point"),
    "learnable": PLAIN,
    "union": replace(SMALL, field="union"),
    "kl": replace(SMALL, bottleneck="kl"),
    "none": replace(SMALL, bottleneck="none"),
    "no normals": replace(SMALL, normals=False),
    "structure latents": replace(SMALL, structure_latents=2),
}
every_form = pytest.mark.parametrize("spec", FORMS.values(), ids=FORMS.keys())


def hearts(count: int = 2, points: int = 64, queries: int = 24, structures: int = 3):
    generator = torch.Generator().manual_seed(0)
    return (
        torch.rand(count, points, 3, generator=generator) * 2 - 1,
        torch.randint(0, structures, (count, points), generator=generator),
        torch.stack([torch.randperm(points, generator=generator)[:16] for _ in range(count)]),
        torch.rand(count, queries, 3, generator=generator) * 2 - 1,
        torch.nn.functional.normalize(torch.randn(count, points, 3, generator=generator), dim=-1),
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


@every_form
def test_the_order_of_points_does_not_matter(spec: ModelSpec) -> None:
    model = built(spec)
    points, structure, anchors, queries, normals = hearts()
    order = torch.randperm(points.shape[1])
    moved_anchors = torch.argsort(order)[anchors]
    moved = (points[:, order], structure[:, order], moved_anchors, queries, normals[:, order])
    with torch.no_grad():
        before = model(points, structure, anchors, queries, normals)
        after = model(*moved)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


@every_form
def test_every_weight_learns_and_structures_matter(spec: ModelSpec) -> None:
    model = built(spec).train()
    points, structure, anchors, queries, normals = hearts()
    latent_set = model.encode(points, structure, anchors, normals)
    output = model.head_output(model.process(latent_set), latent_set.positions, queries)
    (output.square().sum() + latent_set.penalty.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    model.eval()
    with torch.no_grad():
        one = model(points, structure, anchors, queries, normals)
        other = model(points, (structure + 1) % 3, anchors, queries, normals)
    assert (one - other).abs().max() > 1e-4


def test_normals_matter_to_a_model_that_reads_them() -> None:
    points, structure, anchors, queries, normals = hearts()
    for reads in (True, False):
        model = built(replace(SMALL, normals=reads))
        with torch.no_grad():
            one = model(points, structure, anchors, queries, normals)
            other = model(points, structure, anchors, queries, -normals)
            none = model(points, structure, anchors, queries)
            unknown = model(points, structure, anchors, queries, torch.zeros_like(normals))
        assert torch.equal(one, other) != reads
        assert torch.equal(one, none) != reads
        assert torch.equal(none, unknown)


@every_form
def test_recomputation_changes_nothing(spec: ModelSpec) -> None:
    """The same losses and gradients to the last bit, the noise of a KL bottleneck included."""
    found = []
    for recompute in (False, True):
        model = built(spec).train()
        model.recompute = recompute
        torch.manual_seed(3)
        output = model(*hearts())
        output.square().mean().backward()
        found.append((output, [p.grad for p in model.parameters() if p.grad is not None]))
    (kept, kept_gradients), (anew, gradients_anew) = found
    assert torch.equal(kept, anew)
    assert all(map(torch.equal, kept_gradients, gradients_anew))


def test_queries_are_independent_of_each_other() -> None:
    model = built(SMALL)
    points, structure, anchors, queries, _ = hearts()
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


def test_a_kl_bottleneck_draws_around_its_means_and_is_penalised() -> None:
    torch.manual_seed(0)
    bottleneck = KLBottleneck(32, 8).eval()
    tokens = torch.randn(4, 50, 32)
    mean, log_variance = bottleneck.narrow(tokens).chunk(2, dim=-1)
    still = bottleneck.compress(tokens)
    assert torch.equal(still.latents, mean)
    prior = torch.distributions.Normal(0.0, 1.0)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(posterior, prior).mean(dim=(1, 2))
    torch.testing.assert_close(still.penalty, expected)
    bottleneck.train()
    drawn = torch.stack([bottleneck.compress(tokens).latents for _ in range(2000)])
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.std(0), posterior.stddev, atol=0.1, rtol=0.1)


def test_without_a_bottleneck_tokens_pass() -> None:
    tokens = torch.randn(2, 5, 32)
    compressed = NoBottleneck().compress(tokens)
    assert torch.equal(NoBottleneck().expand(compressed.latents), tokens)
    assert torch.equal(compressed.penalty, torch.zeros(2))


def test_a_union_head_gives_a_distance_per_structure() -> None:
    """Inside the union, the largest logit owns the point; outside, nobody does."""
    output = torch.tensor(
        [[[-0.2, 8.0, -4.0, 0.0], [0.1, 8.0, -4.0, 0.0], [-0.05, 1.0, 1.0, -9.0]]]
    )
    distances = UnionHead(8, 3).distances(output)
    scale = 2 * LOGITS_PER_UNIT
    expected = [
        [max(-0.2, -8 / scale), 12 / scale, 8 / scale],
        [0.1, max(0.1, 12 / scale), max(0.1, 8 / scale)],
        [0.0, 0.0, 10 / scale],
    ]
    torch.testing.assert_close(distances, torch.tensor([expected]))
    torch.testing.assert_close(UnionHead(8, 1).distances(output[..., :2]), output[..., :1])


def test_what_heads_ask_for() -> None:
    distances = torch.tensor([[[-0.01, 0.01, 0.5], [-0.3, 0.015, 0.4], [0.3, 0.2, torch.inf]]])
    each, union = DistanceHead(8, 3), UnionHead(8, 3)
    assert torch.equal(each.targets(distances), distances)
    assert union.targets(distances).flatten().tolist() == pytest.approx([-0.01, -0.3, 0.2])
    assert each.differentiable(distances, 0.02).tolist() == [
        [[True, True, False], [False, True, False], [False, False, False]]
    ]
    # On the wall between two structures their union's distance has a crease.
    assert union.differentiable(distances, 0.02).flatten().tolist() == [False, True, False]
    structure = torch.tensor([[0, 2, 1]])
    assert torch.equal(each.field_index(structure), structure)
    assert torch.equal(union.field_index(structure), torch.zeros_like(structure))


@pytest.mark.parametrize("queries", ["anchored", "point"])
def test_the_number_of_latents_is_free_at_run_time(queries: Literal["anchored", "point"]) -> None:
    model = built(replace(SMALL, queries=queries))
    points, structure, anchors, queries, _ = hearts()
    with torch.no_grad():
        fewer = model(points, structure, anchors[:, :9], queries)
    assert fewer.shape == (2, 24, 3)


def test_large_is_the_record_s_size() -> None:
    with torch.device("meta"):
        count = parameter_count(PRESETS["large"].model.build(10))
    assert count == pytest.approx(425e6, rel=0.01)
