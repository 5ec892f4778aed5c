"""Whether what was read is the heart that was written: its volumes, its places, its left side."""

from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts

STRUCTURES = label_set("default").structures


def read_heart(path: Path) -> LabelMap:
    """The one heart at a path as the commands read it, with labels 1…K of the default set."""
    (heart,) = find_hearts([path], label_set("default")).values()
    return heart.segmentation(STRUCTURES).label_map


def assert_same_heart(found: LabelMap, truth: LabelMap, centred: bool = False) -> None:
    """Each structure's volume within 2%, its centroid within 0.5 mm, and left stays left.

    ``centred``: where the heart lies in space is not told, only how its parts lie to each other.
    """
    ml, centroids_mm = _measured(found)
    true_ml, true_mm = _measured(truth)
    np.testing.assert_allclose(ml, true_ml, rtol=0.02)
    if centred:
        centroids_mm, true_mm = centroids_mm - centroids_mm.mean(0), true_mm - true_mm.mean(0)
    assert np.linalg.norm(centroids_mm - true_mm, axis=1).max() < 0.5
    lv, ra = STRUCTURES.index("LV"), STRUCTURES.index("RA")
    assert centroids_mm[lv, 0] < centroids_mm[ra, 0]  # RAS: x grows to the right


def _measured(label_map: LabelMap) -> tuple[np.ndarray, np.ndarray]:
    labels = range(1, len(STRUCTURES) + 1)
    places = [np.argwhere(label_map.labels == label) for label in labels]
    ml = [len(place) * label_map.voxel_volume_mm3 / 1000 for place in places]
    return np.array(ml), np.array([label_map.to_mm(place).mean(axis=0) for place in places])
