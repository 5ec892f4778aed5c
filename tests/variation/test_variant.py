"""Variants of a heart: the same for a seed, whole, and shown as poorer segmentations do."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom import STRUCTURES, PhantomHeart
from vecsetx.geometry.connected import number_pieces
from vecsetx.variation.resampled import grid_around, resampled
from vecsetx.variation.segmented import SegmentedSpec, segmented
from vecsetx.variation.variant import VariationSpec, vary

SHOWN_AS_IT_IS = SegmentedSpec(exact=1.0)
STILL = VariationSpec(
    size=0.0,
    stretch=0.0,
    warp_mm=0.0,
    systole=0.0,
    fills=0.0,
    cut=0.0,
    border=0.0,
    wall=0.0,
    segmented=SHOWN_AS_IT_IS,
)


@pytest.fixture(scope="module")
def heart() -> LabelMap:
    return PhantomHeart.random(np.random.default_rng(3)).voxelize((74, 74, 74), 2.4)


def ml(label_map: LabelMap) -> np.ndarray:
    counts = np.bincount(label_map.labels.ravel(), minlength=len(STRUCTURES) + 1)
    return counts[1:] * label_map.voxel_volume_mm3 / 1000


def test_a_variant_that_may_not_differ_is_the_heart(heart: LabelMap) -> None:
    variant = vary(heart, STRUCTURES, STILL, np.random.default_rng(0))
    assert variant.shown is None
    inside = np.argwhere(heart.labels)
    np.testing.assert_array_equal(
        variant.heart.at(heart.to_mm(inside)), heart.labels[tuple(inside.T)]
    )
    np.testing.assert_allclose(ml(variant.heart), ml(heart), rtol=0.06, atol=0.05)


def test_the_same_seed_gives_the_same_variant(heart: LabelMap) -> None:
    spec = VariationSpec(segmented=SegmentedSpec(exact=0.0))
    one, same, other = (
        vary(heart, STRUCTURES, spec, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    for a, b in ((one.heart, same.heart), (one.shown, same.shown)):
        assert a is not None
        assert b is not None
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.affine, b.affine)
    assert one.heart.shape != other.heart.shape


@pytest.mark.parametrize("seed", range(3))
def test_motions_keep_structures_whole(heart: LabelMap, seed: int) -> None:
    spec = replace(STILL, size=0.25, stretch=0.05, warp_mm=4.0, systole=0.3, fills=0.2)
    moved = vary(heart, STRUCTURES, spec, np.random.default_rng(seed)).heart
    assert moved.unknown is None
    for name in ("LV", "RV", "LA", "RA", "Myocardium"):
        voxels = moved.labels == STRUCTURES.index(name) + 1
        assert number_pieces(voxels)[1] <= 2  # one, and perhaps a voxel of a thin edge
    assert not np.array_equal(ml(moved), ml(heart))


def test_in_systole_the_cavity_shrinks_and_its_wall_does_not(heart: LabelMap) -> None:
    spec = replace(STILL, systole=1.0, voxel_mm=1.0)
    shrunk = 0
    for seed in range(4):
        moved = vary(heart, STRUCTURES, spec, np.random.default_rng(seed)).heart
        after, before = (
            dict(zip(STRUCTURES, ml(moved), strict=True)),
            dict(zip(STRUCTURES, ml(heart), strict=True)),
        )
        # The phantom's cavity is no ellipsoid: an eighth of its wall is counted as cavity.
        assert after["Myocardium"] == pytest.approx(before["Myocardium"], rel=0.2)
        shrunk += after["LV"] < 0.5 * before["LV"]
    assert shrunk


def test_a_size_is_that_of_the_whole(heart: LabelMap) -> None:
    spec = replace(STILL, size=0.3)
    factors = [
        (ml(vary(heart, STRUCTURES, spec, np.random.default_rng(s)).heart).sum() / ml(heart).sum())
        ** (1 / 3)
        for s in range(4)
    ]
    assert max(factors) <= 1.31
    assert min(factors) >= 0.76
    assert max(factors) - min(factors) > 0.1


def test_what_lies_beyond_a_scan_that_cuts_the_heart_is_unknown(heart: LabelMap) -> None:
    box = heart.bounding_box()
    half = replace(heart, labels=heart.labels[:, :, : (box[2].start + box[2].stop) // 2])
    variant = vary(half, STRUCTURES, STILL, np.random.default_rng(0)).heart
    assert variant.unknown is not None
    top = heart.to_mm(np.array([[55, 55, half.shape[2] + 3]]))
    assert variant.unknown[tuple(np.rint(variant.to_indices(top)).astype(int)[0])]
    assert not (variant.unknown & (variant.labels > 0)).any()


def test_thick_slices_show_the_label_at_each_voxels_centre(heart: LabelMap) -> None:
    spec = SegmentedSpec(exact=0.0, thick=1.0, ragged_voxels=0.0, islands=0)
    for seed in range(3):
        shown = segmented(heart, spec, np.random.default_rng(seed))
        assert shown is not None
        assert 4.0 <= shown.spacing_mm[2] <= 10.0
        centers = np.stack(np.meshgrid(*map(np.arange, shown.shape), indexing="ij"), axis=-1)
        expected = heart.at(shown.to_mm(centers.reshape(-1, 3)))
        np.testing.assert_array_equal(shown.labels.ravel(), expected)
        assert set(shown.present()) <= set(heart.present())


def test_walls_waver_and_islands_appear(heart: LabelMap) -> None:
    spec = SegmentedSpec(exact=0.0, thick=0.0, fine_mm=1.5, coarse_mm=1.5, ragged_voxels=1.0)
    shown = segmented(heart, spec, np.random.default_rng(4))
    assert shown is not None
    centers = np.stack(np.meshgrid(*map(np.arange, shown.shape), indexing="ij"), axis=-1)
    differ = shown.labels.ravel() != heart.at(shown.to_mm(centers.reshape(-1, 3)))
    assert 0.001 < differ.mean() < 0.1


def test_resampling_finds_each_label_in_its_place_on_an_oblique_grid(heart: LabelMap) -> None:
    turn = Rotation.from_rotvec([0.3, -0.7, 0.2]).as_matrix()
    everywhere = np.stack(np.meshgrid(*map(np.arange, heart.shape), indexing="ij"), axis=-1)
    corners = heart.to_mm(everywhere[[0, 0, 0, 0, -1, -1, -1, -1], 0, [0, 0, -1, -1] * 2])
    corners = np.concatenate([corners, heart.to_mm(everywhere[[0, -1], -1, -1])])
    affine, shape = grid_around(corners, turn, np.array([1.6, 1.6, 1.6]), 3.0)
    turned = resampled(heart, affine, shape)
    assert turned.unknown is not None
    back = resampled(turned, heart.affine, heart.shape)
    assert (back.labels == heart.labels)[heart.labels > 0].mean() > 0.8
    np.testing.assert_allclose(ml(turned), ml(heart), rtol=0.1, atol=0.1)
