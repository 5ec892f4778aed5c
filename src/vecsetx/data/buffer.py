"""Memory into which hearts are read: a few large arrays, of which a batch's tensors are views.

A step reads a few thousand numbers of each heart. Calling NumPy then takes as long as the
arithmetic, so that fewer and larger arrays are faster.
"""

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vecsetx.data.batch import Batch, Queries, SurfaceQueries

__all__ = ["BatchBuffer"]


@dataclass(frozen=True, slots=True)
class BatchBuffer:
    """B hearts of K structures, or one heart without the first axis; in units.

    N input points are followed by S surface, then near and volume query points, Q in all. See
    :class:`~vecsetx.data.batch.Batch` for their meaning.

    Attributes:
        points: ``[B, N + Q, 3]`` input and query points.
        structure: ``[B, N + S]`` of input points and surface queries.
        normals: ``[B, N + S, 3]`` of input points and surface queries.
        distances, known: ``[B, Q, K]`` of all query points.
    """

    points: Float[np.ndarray, "*b n 3"]
    structure: Int[np.ndarray, "*b s"]
    normals: Float[np.ndarray, "*b s 3"]
    distances: Float[np.ndarray, "*b q k"]
    known: Float[np.ndarray, "*b q k"]

    @classmethod
    def empty(
        cls, hearts: int, points: int, surface: int, near: int, volume: int, structures: int
    ) -> "BatchBuffer":
        """An uninitialised buffer for numbers of hearts, input points, queries and structures."""
        queries = surface + near + volume
        # Every number is overwritten. torch indexes with 64-bit integers only.
        return cls(
            points=np.empty((hearts, points + queries, 3), np.float32),
            structure=np.empty((hearts, points + surface), np.int64),
            normals=np.empty((hearts, points + surface, 3), np.float32),
            distances=np.empty((hearts, queries, structures), np.float32),
            known=np.empty((hearts, queries, structures), np.float32),
        )

    def heart(self, index: int) -> "BatchBuffer":
        """A view of one heart, without the first axis."""
        return BatchBuffer(
            self.points[index],
            self.structure[index],
            self.normals[index],
            self.distances[index],
            self.known[index],
        )

    def batch(self, points: int, surface: int, near: int, volume: int) -> Batch:
        """A batch of views, given the numbers of input points and of queries of each group."""
        # The parts lie one after another along the second axis, as in the class's description.
        queries = (surface, near, volume)
        shown, *positions = _split(self.points, points, *queries)
        structure = _split(self.structure, points, surface)
        normals = _split(self.normals, points, surface)
        distances, known = _split(self.distances, *queries), _split(self.known, *queries)
        return Batch(
            points=shown,
            structure=structure[0],
            normals=normals[0],
            surface=SurfaceQueries(positions[0], distances[0], known[0], structure[1], normals[1]),
            near=Queries(positions[1], distances[1], known[1]),
            volume=Queries(positions[2], distances[2], known[2]),
            # Becomes true where a teacher's answers replace the distances.
            taught=torch.zeros(len(shown), distances[0].shape[2], dtype=torch.bool),
        )


def _split(values: np.ndarray, *counts: int) -> list[Tensor]:
    """Tensors that share the memory of successive parts of the second axis."""
    ends = accumulate(counts)
    return [torch.from_numpy(values[:, end - n : end]) for n, end in zip(counts, ends, strict=True)]
