"""Coordinates and fibres of all muscle of a heart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vecsetx.errors import InputError
from vecsetx.fibres.muscle import Muscle, muscle_around
from vecsetx.fibres.openings import NoBaseError
from vecsetx.fibres.rules import Angles, atrial_rule, ventricular_rule
from vecsetx.progress import stage
from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.mesh import TetrahedralMesh

__all__ = ["HeartFibres", "heart_fibres", "parse_angles"]

_VENTRICLES = {"LV": "Myocardium", "RV": "RVWall"}
_ATRIA = ("LA", "RA")


@dataclass(frozen=True, slots=True)
class HeartFibres:
    """Coordinates and fibres of a heart.

    Attributes:
        coordinates: Name → a number per vertex, 0 to 1; NaN outside of muscle.
        vectors: ``fiber`` and ``sheet`` → a unit vector per tetrahedron, 0 outside of muscle.
        node_sets: ``LV apex`` and ``LV base`` → vertices.
        remarks: Muscle that has none, and why, as sentences.
    """

    coordinates: Mapping[str, Float[np.ndarray, " v"]]
    vectors: Mapping[str, Float[np.ndarray, "t 3"]]
    node_sets: Mapping[str, Int[np.ndarray, " n"]]
    remarks: tuple[str, ...]


def heart_fibres(
    mesh: TetrahedralMesh, names: Sequence[str], interfaces: Sequence[Interface], angles: Angles
) -> HeartFibres:
    """Return coordinates and fibres of the ventricles' and the atria's muscle.

    The muscle is ``Myocardium`` around ``LV``, ``RVWall`` around ``RV``, and ``LAWall`` and
    ``RAWall`` around their atria, as far as the mesh has them.

    Args:
        mesh: The whole mesh.
        names: Names of its regions.
        interfaces: Its interfaces.
        angles: Angles of the ventricles' fibres and sheets.

    Raises:
        InputError: A solution was not found.
    """
    coordinates: dict[str, np.ndarray] = {}
    vectors = {name: np.zeros((len(mesh.tetrahedra), 3)) for name in ("fiber", "sheet")}
    node_sets, remarks = {}, []
    # Ventricles last: where they share vertices with atria, their coordinates count.
    for walls in (*({atrium: f"{atrium}Wall"} for atrium in _ATRIA), _VENTRICLES):
        first, wall = next(iter(walls.items()))
        walls = {cavity: of for cavity, of in walls.items() if {cavity, of} <= {*names}}
        if first not in walls:
            if first == "LV":
                remarks.append("no fibres of ventricles: they need LV and Myocardium")
            continue
        try:
            muscle = muscle_around(mesh, names, interfaces, walls)
        except NoBaseError as error:
            remarks.append(f"no fibres of {' and '.join(walls.values())}: {error}")
            continue
        remarks += _left_over(mesh, names, walls.values(), muscle)
        points_mm = mesh.points_mm[muscle.vertices]
        with stage(f"fibres of {' and '.join(walls.values())}"):
            try:
                rule = (
                    ventricular_rule(muscle, points_mm, angles)
                    if first == "LV"
                    else atrial_rule(muscle, points_mm)
                )
            except ArithmeticError as error:
                raise InputError(
                    f"no fibres of {wall}: {error}; try other edges, or --fibres none"
                ) from None
        for name, numbers in rule.coordinates.items():
            whole = coordinates.setdefault(name, np.full(len(mesh.points_mm), np.nan))
            whole[muscle.vertices] = numbers
        vectors["fiber"][muscle.cells] = rule.fibre
        vectors["sheet"][muscle.cells] = rule.sheet
        if first == "LV":
            node_sets["LV apex"] = muscle.vertices[muscle.apex]
            node_sets["LV base"] = muscle.vertices[muscle.base]
    if not coordinates:
        vectors = {}
    return HeartFibres(coordinates, vectors, node_sets, tuple(remarks))


def _left_over(
    mesh: TetrahedralMesh, names: Sequence[str], walls: Iterable[str], muscle: Muscle
) -> list[str]:
    """Say which walls have tetrahedra without fibres, as they are not of the largest piece."""
    told = []
    for wall in walls:
        own = mesh.region == names.index(wall) + 1
        without = np.count_nonzero(own) - np.count_nonzero(own[muscle.cells])
        if without:
            share = without / np.count_nonzero(own)
            told.append(
                f"{share:.1%} of {wall}'s tetrahedra have no fibres: they are not connected to "
                "the largest piece of muscle"
            )
    return told


def parse_angles(fibres: str, sheets: str) -> Angles | None:
    """Return the angles of fibres and sheets from text such as ``60,-60``; None for ``none``.

    Raises:
        InputError: They are no pairs of angles of −90° to 90°.
    """
    if fibres == "none":
        return None
    return Angles(_pair(fibres, "--fibres"), _pair(sheets, "--sheets"))


def _pair(text: str, option: str) -> tuple[float, float]:
    try:
        inner, outer = (float(word) for word in text.split(","))
    except ValueError:
        inner = outer = np.nan
    if not (-90 <= inner <= 90 and -90 <= outer <= 90):
        raise InputError(
            f"{option} {text}: give two angles of -90 to 90 degrees, at the inner and the outer "
            f"surface, such as {option} 60,-60"
        )
    return inner, outer
