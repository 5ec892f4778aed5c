"""The short-axis stack that the benchmark shows: where its slices lie, and what is in them."""

from pathlib import Path

import numpy as np
from parts_of_hearts import IN_STACK, PIXEL_MM, SLICE_MM, short_axis_stack
from support.hearts import write_small_phantoms

from vecsetx.anatomy.label_sets import label_set
from vecsetx.formats.label_maps import read_label_map


def test_slices_lie_across_the_long_axis_and_hold_three_structures(tmp_path: Path) -> None:
    structures = tuple(label_set("default").ids.values())
    heart = read_label_map(*write_small_phantoms(tmp_path, 1))
    stack = short_axis_stack(heart, structures)

    np.testing.assert_allclose(stack.spacing_mm, [PIXEL_MM, PIXEL_MM, SLICE_MM])
    axes = stack.affine[:3, :3] / stack.spacing_mm
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) > 0

    at_mm = {
        name: heart.to_mm(np.argwhere(heart.labels == k)) for k, name in enumerate(structures, 1)
    }
    long_axis = at_mm["LV"].mean(axis=0) - at_mm["LA"].mean(axis=0)
    np.testing.assert_allclose(axes[:, 2], long_axis / np.linalg.norm(long_axis), atol=1e-12)

    labels = {k for k, name in enumerate(structures, 1) if name in IN_STACK}
    assert {*np.unique(stack.labels)} == {0, *labels}
    voxel_ml, stack_ml = heart.voxel_volume_mm3 / 1000, stack.voxel_volume_mm3 / 1000
    for k in labels:
        true_ml = (heart.labels == k).sum() * voxel_ml
        assert abs((stack.labels == k).sum() * stack_ml - true_ml) < 0.1 * true_ml
