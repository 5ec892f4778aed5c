"""Surfaces known only by points on them, approximated by small discs that cover them (surfels)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer
from pykdtree.kdtree import KDTree

from vecsetx.anatomy.sign import with_sign

NEIGHBOURS = 12
"""Number of a point's neighbours that the plane of its disc is fitted to."""

_VOTERS = 16
"""Number of labelled points near a disc that decide which of its sides faces outwards."""


@dataclass(frozen=True, slots=True)
class Discs:
    """A closed surface as discs.

    Attributes:
        centres: ``[N, 3]`` float32 points of the surface, any unit of length.
        normals: ``[N, 3]`` float32, unit, outwards.
        areas: ``[N]`` float32; their sum is the surface's area.
        agreement: How well the labels of points near the surface agree with it: 1 if all points lie
            on the side that their label implies, about 0.3 if labels and surface are unrelated.
    """

    centres: Float[np.ndarray, "n 3"]
    normals: Float[np.ndarray, "n 3"]
    areas: Float[np.ndarray, " n"]
    agreement: float

    def area(self) -> float:
        """Area of the surface."""
        return float(self.areas.sum(dtype=np.float64))

    def volume(self) -> float:
        """Volume inside the surface (divergence theorem); 0 if too many normals are wrong."""
        heights = _dot(self.centres - self.centres.mean(axis=0), self.normals)
        return max(float((self.areas * heights).sum(dtype=np.float64) / 3), 0.0)

    def radius(self) -> float:
        """Radius of a disc of median area: about the largest distance to the nearest point."""
        return float(np.sqrt(np.median(self.areas) / np.pi))

    def distances(self, points: Float[np.ndarray, "q 3"]) -> Float[np.ndarray, " q"]:
        """Unsigned distance of each point to the disc whose centre is nearest, ``[Q]`` float32."""
        # By Pythagoras: height over the disc's plane, and how far aside of its rim.
        to_centre, nearest = KDTree(self.centres).query(points)
        height = _dot(points - self.centres[nearest], self.normals[nearest])
        aside = np.sqrt(np.maximum(to_centre**2 - height**2, 0))
        radius = np.sqrt(self.areas[nearest] / np.pi)
        return np.hypot(height, np.maximum(aside - radius, 0))


def fit_discs(
    surfaces: Sequence[Float[np.ndarray, "_ 3"]],
    around: Float[np.ndarray, "m 3"],
    label: Integer[np.ndarray, " m"],
) -> list[Discs]:
    """Fit discs to the surface points of every structure.

    A disc's plane is fitted to the nearest points of the same surface. Its area is a point's share
    of the surface if points are spread evenly: πr²/m, with m neighbours within radius r. Labelled
    points near the disc decide which side faces outwards.

    Args:
        surfaces: Points ``[N, 3]`` float32 of each of the K surfaces, N > :data:`NEIGHBOURS`.
        around: ``[M, 3]`` float32 points on both sides of the surfaces.
        label: ``[M]`` the structure that each of them lies in: k + 1 for structure k, 0 for none.
    """
    tree = KDTree(around)
    return [
        _fit(points, tree, around, label == number) for number, points in enumerate(surfaces, 1)
    ]


def _fit(
    points: Float[np.ndarray, "n 3"],
    tree: KDTree,
    around: Float[np.ndarray, "m 3"],
    is_inside: Bool[np.ndarray, " m"],
) -> Discs:
    # 1. Fit a plane to each point's neighbours; the normal's sign is still open.
    reach, neighbours = KDTree(points).query(points, k=NEIGHBOURS + 1)  # the first is itself
    spread = points[neighbours].astype(np.float64)
    spread -= spread.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nij,nik->njk", spread, spread))
    normals = axes[:, :, 0].astype(np.float32)  # the axis of least spread
    # 2. Labelled points on either side vote for the sign, weighted by their height over the plane.
    away, voters = tree.query(points, k=min(_VOTERS, len(around)))
    heights = np.einsum("nij,nj->ni", around[voters] - points[:, None], normals)
    votes = with_sign(np.ones(voters.shape), is_inside[voters]) * heights
    votes /= np.maximum(away, 1e-3 * away.mean()) ** 2  # near points count more
    balance = votes.sum(axis=1)
    agreement = np.abs(balance).sum() / np.abs(votes).sum()
    outwards = (np.copysign(1, balance)[:, None] * normals).astype(np.float32)
    # 3. A point's share of the disc through its farthest neighbour.
    areas = np.float32(np.pi / NEIGHBOURS) * reach[:, -1] ** 2
    return Discs(points, outwards, areas, float(agreement))


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("ni,ni->n", a, b)
