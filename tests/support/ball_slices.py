"""Slices of a ball."""

from dataclasses import replace

import numpy as np

from vecsetx.views.slices import Slice

RADIUS_MM = 40.0
XY, XZ, YZ = np.eye(3), np.eye(3)[[0, 2, 1]], np.eye(3)[[1, 2, 0]]


def plane(turn: np.ndarray, through_mm: np.ndarray, labels: np.ndarray | None = None) -> Slice:
    """An image of 121 × 121 pixels of 1 mm about a point; by default, it shows structure 0."""
    labels = np.ones((121, 121), np.uint8) if labels is None else labels
    known = np.array([True, (labels == 2).any()])
    origin_mm = through_mm - 60 * turn[:2].sum(axis=0)
    return Slice("a 1", 0, 1, labels, known, origin_mm, turn[:2])


def of_ball(turn: np.ndarray, through_mm: tuple, lies_mm: tuple = (0, 0, 0)) -> Slice:
    """The plane through a ball that lies somewhere else than at the origin."""
    one = plane(turn, np.asarray(through_mm, float))
    pixels = np.stack(np.meshgrid(*[np.arange(121.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    inside = np.linalg.norm(one.to_mm(pixels) - np.array(lies_mm), axis=1) < RADIUS_MM
    return replace(one, labels=inside.reshape(121, 121).astype(np.uint8))
