"""The tetrahedra around some vertices, and which vertices can change at the same time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["Stars", "apart"]


@dataclass(frozen=True, slots=True)
class Stars:
    """The tetrahedra around each of N vertices, one after the other.

    Attributes:
        first: Where each one's tetrahedra begin, ``[N]``.
        owner: Which of the N vertices each entry is of.
        tetrahedra: The tetrahedron of each entry.
        corner: The vertex's corner in it, 0 to 3.
    """

    first: Int[np.ndarray, " n"]
    owner: Int[np.ndarray, " m"]
    tetrahedra: Int[np.ndarray, " m"]
    corner: Int[np.ndarray, " m"]

    @classmethod
    def of(cls, tetrahedra: Int[np.ndarray, "t 4"], vertices: Int[np.ndarray, " n"]) -> "Stars":
        """Find the tetrahedra around vertices, each of which is in at least one."""
        number = np.full(int(tetrahedra.max()) + 1, -1)
        number[vertices] = np.arange(len(vertices))
        owner = number[tetrahedra]
        which, corner = np.nonzero(owner >= 0)
        owner = owner[which, corner]
        order = np.argsort(owner, kind="stable")
        owner = owner[order]
        return cls(
            np.searchsorted(owner, np.arange(len(vertices))),
            owner,
            which[order],
            corner[order],
        )


def apart(
    tetrahedra: Int[np.ndarray, "t 4"],
    candidates: Int[np.ndarray, " n"],
    priority: Float[np.ndarray, " n"],
    vertices: int,
) -> Bool[np.ndarray, " n"]:
    """Choose vertices no two of which share a tetrahedron: those of highest priority around."""
    rank = np.full(vertices, -1, dtype=np.int64)
    rank[candidates] = np.argsort(np.argsort(priority))
    own = rank[tetrahedra]
    own = own[(own >= 0).sum(axis=1) > 1]
    beaten = np.zeros(len(candidates), dtype=bool)
    lower = own[(own >= 0) & (own < own.max(axis=1, keepdims=True))]
    beaten[lower] = True
    return ~beaten[rank[candidates]]
