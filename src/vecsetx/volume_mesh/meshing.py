"""From signed distances to a tetrahedral mesh, in five steps."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vecsetx.progress import counted_parts, stage
from vecsetx.volume_mesh.cleaving import cleave
from vecsetx.volume_mesh.improving import STUCK, improve
from vecsetx.volume_mesh.lattice import graded_lattice
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.reassigning import reassign
from vecsetx.volume_mesh.sampled_field import Field, SampledField
from vecsetx.volume_mesh.settling import settle

__all__ = ["GOAL", "LONGEST", "Regions", "finish", "rough_mesh"]

LONGEST = 1 / 0.923
"""The longest edge of the lattice, as a multiple of the mean: a vertex has eight edges of √3/2 and
six of 1."""

GOAL = 0.36
"""The shape that every tetrahedron is to have: dihedral angles of 21° and a scaled Jacobian of
0.18."""

_TURNS = 2
"""Better shaped tetrahedra let vertices of interfaces settle that could not before."""

_FAR = 0.25
"""Around vertices that are this share of an edge off an interface, tetrahedra may change their
regions; in the end, these vertices may spoil shapes to reach it."""

_REACH = 2
"""Nodes of the sampled field around each vertex of an interface; vertices do not move farther."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What is meshed.

    Attributes:
        field: Signed distances to K regions.
        low_mm: Corner of a box around all of them.
        high_mm: Opposite corner.
        rough_field: The same to about half a millimetre, if that is quicker; edges are as long as
            it says.
    """

    field: Field
    low_mm: Float[np.ndarray, "3"]
    high_mm: Float[np.ndarray, "3"]
    rough_field: Field | None = None


def rough_mesh(regions: Regions, edges_mm: Float[np.ndarray, " k"]) -> TetrahedralMesh:
    """Mesh regions, with interfaces that they share: steps 1 and 2.

    Args:
        regions: What is meshed.
        edges_mm: Mean length of edges at the interfaces of each region; they grow away from
            interfaces.

    Returns:
        A mesh with some badly shaped tetrahedra.
    """
    with stage("lattice"):
        field = regions.rough_field or regions.field
        points_mm, tetrahedra = graded_lattice(
            regions.low_mm, regions.high_mm, edges_mm * LONGEST, field
        )
    with stage("cutting at interfaces"):
        return cleave(points_mm, tetrahedra, regions.field(points_mm), regions.field)


def finish(
    mesh: TetrahedralMesh, regions: Regions, edges_mm: Float[np.ndarray, " k"], seed: int = 0
) -> None:
    """Bring a rough mesh's interfaces to their places, its tetrahedra into shape: steps 3 to 5.

    Args:
        mesh: What is changed.
        regions: What it was made from.
        edges_mm: The edges that it was made with.
        seed: Seed of the directions in which vertices are tried. The same seed gives the same mesh.
    """
    finest_mm = float(edges_mm.min()) * LONGEST
    with stage("distances near interfaces"):
        interfaces_mm = mesh.points_mm[mesh.on_interfaces()]
        sampled = SampledField(regions.field, interfaces_mm, finest_mm / 2, _REACH)
    generator = np.random.default_rng(seed)
    far_mm = _FAR * finest_mm
    for _ in counted_parts(range(_TURNS), "improving"):
        settle(mesh, sampled, finest_mm / 2)
        reassign(mesh, sampled, far_mm)
        improve(mesh, sampled, GOAL, finest_mm, generator)
    settle(mesh, sampled, finest_mm / 2, STUCK, far_mm)
