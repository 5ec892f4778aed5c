"""Hearts as they are drawn: arrays in which several fields of a batch follow each other.

A step draws some thousand numbers of each heart, so that what is done to them takes as long as
calling it: the fewer arrays, the better.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vecsetx.data.batch import Batch


@dataclass(frozen=True, slots=True)
class Rows:
    """B hearts of K structures, or without the first axis one; in units.

    See :class:`~vecsetx.data.batch.Batch`.

    Attributes:
        points: ``[B, N + Q, 3]`` the model's input, then surface, near and volume query points.
        structure: ``[B, N + S]`` of the input and of surface query points.
        normals: ``[B, N + S, 3]`` likewise.
        distances, known: ``[B, Q, K]`` of all query points.
    """

    points: Float[np.ndarray, "*b n 3"]
    structure: Int[np.ndarray, "*b s"]
    normals: Float[np.ndarray, "*b s 3"]
    distances: Float[np.ndarray, "*b q k"]
    known: Float[np.ndarray, "*b q k"]

    @classmethod
    def empty(
        cls, hearts: int, shown: int, surface: int, near: int, volume: int, structures: int
    ) -> "Rows":
        """Room for hearts: for so many points shown, query points of each kind and structures."""
        queries = surface + near + volume
        return cls(
            points=np.empty((hearts, shown + queries, 3), np.float32),
            structure=np.empty((hearts, shown + surface), np.int64),
            normals=np.empty((hearts, shown + surface, 3), np.float32),
            distances=np.empty((hearts, queries, structures), np.float32),
            known=np.empty((hearts, queries, structures), np.float32),
        )

    def heart(self, index: int) -> "Rows":
        """The place of one heart, without the first axis."""
        return Rows(
            self.points[index],
            self.structure[index],
            self.normals[index],
            self.distances[index],
            self.known[index],
        )

    def batch(self, shown: int, surface: int, near: int, volume: int) -> Batch:
        """The batch that these are, told how many rows each part has."""
        queries = (surface, near, volume)
        points = _parts(self.points, shown, *queries)
        structure = _parts(self.structure, shown, surface)
        normals = _parts(self.normals, shown, surface)
        distances, known = _parts(self.distances, *queries), _parts(self.known, *queries)
        return Batch(
            points=points[0],
            structure=structure[0],
            normals=normals[0],
            surface=points[1],
            surface_distances=distances[0],
            near=points[2],
            near_distances=distances[1],
            volume=points[3],
            volume_distances=distances[2],
            surface_known=known[0],
            near_known=known[1],
            volume_known=known[2],
            surface_structure=structure[1],
            surface_normals=normals[1],
            taught=torch.zeros(len(points[0]), distances[0].shape[2], dtype=torch.bool),
        )


def _parts(values: np.ndarray, *counts: int) -> list[Tensor]:
    ends = accumulate(counts)
    return [torch.from_numpy(values[:, end - n : end]) for n, end in zip(counts, ends, strict=True)]
