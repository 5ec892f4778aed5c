"""Borders between structures that lie elsewhere: valve planes and ostia are a convention, too."""

from dataclasses import replace

from scipy import ndimage

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.variation.resampled import box_of

__all__ = ["BORDERS", "shift_border", "thin_wall"]

BORDERS = (
    ("LA", "LV"),
    ("RA", "RV"),
    ("LV", "Aorta"),
    ("RV", "PA"),
    ("LA", "PV"),
    ("LA", "LAA"),
)
"""Pairs that meet at a valve or an ostium, across which blood flows."""


def shift_border(label_map: LabelMap, grows: int, yields: int, by_mm: float) -> LabelMap:
    """Let one structure take from another what lies within a distance of it.

    Args:
        label_map: Labels 1…K.
        grows: Label of the structure that grows.
        yields: Label of the one that it grows into; other structures stay as they are.
        by_mm: The distance.
    """
    return _yielded(label_map, yields, grows, by_mm)


def thin_wall(label_map: LabelMap, vessel: int, by_mm: float) -> LabelMap:
    """Leave out a layer of a vessel that faces the background: its wall, where that is labelled."""
    return _yielded(label_map, vessel, 0, by_mm)


def _yielded(label_map: LabelMap, yields: int, to: int, by_mm: float) -> LabelMap:
    if not {yields, to} <= {0, *label_map.present()}:
        return label_map
    box = box_of(label_map.labels == yields)
    around = label_map.labels[box]
    if not (around == to).any():
        return label_map
    distance_mm = ndimage.distance_transform_edt(around != to, sampling=label_map.spacing_mm)
    labels = label_map.labels.copy()
    labels[box][(around == yields) & (distance_mm <= by_mm)] = to
    return replace(label_map, labels=labels)
