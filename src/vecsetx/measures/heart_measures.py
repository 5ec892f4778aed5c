"""All numbers of one heart."""

import math
from collections.abc import Iterable

from vecsetx.anatomy.structures import structure, structure_names
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.measures.measured import Measured, Measures, unknown
from vecsetx.measures.solid import SOLID, measure_solid
from vecsetx.measures.triangles import Triangles
from vecsetx.measures.valves import Valve, find_valve
from vecsetx.measures.vessels import VESSEL, measure_vessel
from vecsetx.measures.wall import SEGMENTS, long_axis_of, outer_wall, segments_of
from vecsetx.progress import stage

__all__ = ["VALVES", "in_order", "measure_heart"]

VALVES = {
    "mitral": ("LA", "LV"),
    "tricuspid": ("RA", "RV"),
    "aortic": ("Aorta", "LV"),
    "pulmonary": ("PA", "RV"),
}
"""Valve → the structures that meet there."""

_VALVE = ("area_mm2", "center_r_mm", "center_a_mm", "center_s_mm")
_WALL = ("mass_g", "thickness_mm", *(f"thickness_{n}_mm" for n in range(1, SEGMENTS + 1)))
_AXIS = "base_to_apex_mm"

_G_PER_ML = 1.05
"""Density of the myocardium (Lang et al., J Am Soc Echocardiogr 2015;28:1)."""

_CUT = "it reaches the edge of the scan"


def measure_heart(geometry: Geometry, structures: tuple[str, ...]) -> Measures:
    """Measure a heart.

    Args:
        geometry: Its surfaces, mm.
        structures: Names of its K structures.

    Returns:
        Numbers by names such as ``LV_volume_ml``, for every structure that is there and every valve
        between two of them. Numbers that a scan cuts are unknown, and say so.
    """
    surfaces = {
        name: Triangles(vertices_mm, faces)
        for name, (vertices_mm, faces) in zip(structures, geometry.closed, strict=True)
        if len(faces)
    }
    cut = {name for name, is_cut in zip(structures, geometry.cut, strict=True) if is_cut}
    found: dict[str, Measured] = {}
    for name, surface in surfaces.items():
        with stage(name):
            found |= _named(name, _of_structure(name, surface, name in cut))
    valves: dict[str, Valve | None] = {}
    for valve, (first, second) in VALVES.items():
        if first in surfaces and second in surfaces:
            with stage(f"{valve} valve"):
                valves[valve] = find_valve(surfaces[first], surfaces[second])
            found |= _named(valve, _of_valve(valves[valve], first, second))
    if "LV" in surfaces:
        found |= _named("LV", _of_axis(surfaces["LV"], "LV" in cut, valves.get("mitral")))
    if "Myocardium" in surfaces:
        with stage("wall"):
            found |= _named("Myocardium", _of_wall(surfaces, cut, valves.get("mitral"), found))
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of numbers, each once, in the order of all structures and valves."""
    every = [
        f"{prefix}_{name}"
        for prefixes, numbers in (
            (structure_names(), (*SOLID, *VESSEL, _AXIS, *_WALL)),
            (VALVES, _VALVE),
        )
        for prefix in prefixes
        for name in numbers
    ]
    place = {name: number for number, name in enumerate(every)}
    return sorted(set(names), key=place.__getitem__)


def _named(prefix: str, numbers: Measures) -> dict[str, Measured]:
    return {f"{prefix}_{name}": number for name, number in numbers.items()}


def _of_structure(name: str, surface: Triangles, is_cut: bool) -> dict[str, Measured]:
    is_vessel = structure(name).vessel
    solid = measure_solid(surface.vertices_mm, surface.faces)
    if not is_vessel:
        return unknown(SOLID, _CUT) if is_cut else solid
    # The axes of a bent tube say nothing.
    kept = {key: solid[key] for key in ("volume_ml", "surface_mm2")}
    vessel = measure_vessel(surface, solid["volume_ml"].value)
    if is_cut:  # its radii are those of what is shown
        kept |= unknown(("volume_ml", "surface_mm2"), _CUT)
        vessel |= unknown(VESSEL[:1], _CUT)
    return kept | vessel


def _of_valve(valve: Valve | None, first: str, second: str) -> dict[str, Measured]:
    if valve is None:
        return unknown(_VALVE, f"{first} and {second} do not meet")
    values = (valve.area_mm2, *valve.center_mm.tolist())
    return {name: Measured(value) for name, value in zip(_VALVE, values, strict=True)}


def _of_wall(
    surfaces: dict[str, Triangles], cut: set[str], mitral: Valve | None, found: Measures
) -> dict[str, Measured]:
    """Return mass and thickness of the left ventricular wall; ``found`` has its volume."""
    if "Myocardium" in cut:
        return unknown(_WALL, _CUT)
    numbers = {"mass_g": Measured(_G_PER_ML * found["Myocardium_volume_ml"].value)}
    if "LV" not in surfaces:
        return numbers | unknown(_WALL[1:], "there is no LV")
    wall = outer_wall(surfaces["Myocardium"], surfaces["LV"], surfaces.get("RV"))
    if len(wall.thickness_mm) == 0:
        return numbers | unknown(_WALL[1:], "it does not surround the LV")
    numbers["thickness_mm"] = Measured(wall.mean_mm())
    if "LV" in cut:
        return numbers | unknown(_WALL[2:], "the LV reaches the edge of the scan")
    if mitral is None:
        return numbers | unknown(_WALL[2:], "there is no mitral valve, where LA and LV meet")
    segments = segments_of(wall, long_axis_of(surfaces["LV"], mitral))
    if segments is None:
        return numbers | unknown(_WALL[2:], "no RV lies beside it, to tell where the septum is")
    for number in range(1, SEGMENTS + 1):
        mean_mm = wall.mean_mm(segments == number)
        reason = "no wall lies there" if math.isnan(mean_mm) else ""
        numbers[f"thickness_{number}_mm"] = Measured(mean_mm, reason)
    return numbers


def _of_axis(cavity: Triangles, is_cut: bool, mitral: Valve | None) -> dict[str, Measured]:
    if is_cut:
        return unknown((_AXIS,), _CUT)
    if mitral is None:
        return unknown((_AXIS,), "there is no mitral valve, where LA and LV meet")
    return {_AXIS: Measured(long_axis_of(cavity, mitral).length_mm)}
