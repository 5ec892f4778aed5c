"""Hearts to turn in three dimensions: the truth beside the reconstruction, as plotly scenes.

Vertices stay in RAS+ mm and travel as the float32 that they are, in plotly's own base64 form, so
nothing is rounded on the way to the page.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vecsetx.anatomy.structures import structure
from vecsetx.reconstruction.surfaces import Surface, decimated
from vecsetx.report.figures import Figure, rgb

MAX_FACES = 25_000
"""Triangles shown per heart and side; finer surfaces are simplified for the page."""

# The eye stands in front of the patient and looks to the back: the patient's left is on the right.
_FRONT = {
    "eye": {"x": 0.0, "y": 1.65, "z": 0.0},
    "up": {"x": 0.0, "y": 0.0, "z": 1.0},
    "center": {"x": 0.0, "y": 0.0, "z": 0.0},
}
# Plotly takes this point in clip space, with the eye as origin and the far plane at 1. Just beyond
# that plane the projection turns it to a far point behind the viewer's left shoulder, so the light
# goes with the camera and does not depend on where in the scanner the heart lies.
_LIGHT = {"x": 0.8, "y": -1.4, "z": 1.00012}
_LIGHTING = {
    "ambient": 0.45,
    "diffuse": 0.75,
    "specular": 0.1,
    "roughness": 0.5,
    "fresnel": 0.1,
    "vertexnormalsepsilon": 1e-12,
    "facenormalsepsilon": 1e-12,
}


@dataclass(frozen=True, slots=True)
class HeartView:
    """One heart to look at.

    Attributes:
        name: The heart's name.
        truth: Structure → true surface.
        reconstruction: Structure → the model's surface.
        dice: Mean Dice over this heart's structures; NaN where none was scored.
    """

    name: str
    truth: Mapping[str, Surface]
    reconstruction: Mapping[str, Surface]
    dice: float


def heart_scenes(view: HeartView) -> dict[str, Figure]:
    """The figures of both sides, in one box of the same size.

    Returns:
        ``truth`` and ``reconstruction``. Each has a trace per structure that the side holds.
    """
    sides = {"truth": view.truth, "reconstruction": view.reconstruction}
    layout = _layout([surface for side in sides.values() for surface in side.values()])
    figures = {}
    for side, surfaces in sides.items():
        shown = _within_budget(surfaces)
        traces = [_mesh(name, surface) for name, surface in shown.items()]
        figures[side] = go.Figure(traces, layout=layout).to_dict()
    return figures


def points_scene(points_mm: Mapping[str, np.ndarray]) -> Figure:
    """Points to turn, in the colours of their structures; a click in the legend hides one.

    Args:
        points_mm: Structure → ``[N, 3]`` RAS+ mm.
    """
    no_faces = np.empty((0, 3), dtype=np.int64)
    layout = _layout([Surface(points, no_faces) for points in points_mm.values()])
    traces = []
    for name, points in points_mm.items():
        x, y, z = np.ascontiguousarray(points.T, dtype=np.float32)
        traces.append(
            go.Scatter3d(
                name=name,
                x=x,
                y=y,
                z=z,
                mode="markers",
                marker={"size": 2.2, "color": rgb(name), "line": {"width": 0}},
                hovertemplate=f"{structure(name).title}<br>R %{{x:.1f}}, A %{{y:.1f}}, "
                "S %{z:.1f} mm<extra></extra>",
            )
        )
    shown = layout | {"showlegend": True, "legend": {"itemsizing": "constant"}}
    scene: Figure = go.Figure(traces, layout=shown).to_dict()
    return scene


def structures_shown(views: Iterable[HeartView]) -> list[dict[str, str]]:
    """Name, title and colour of every structure in any of the hearts, in order of appearance."""
    names = dict.fromkeys(
        name for view in views for side in (view.truth, view.reconstruction) for name in side
    )
    return [{"name": name, "title": structure(name).title, "color": rgb(name)} for name in names]


def _within_budget(surfaces: Mapping[str, Surface]) -> dict[str, Surface]:
    if sum(len(surface.faces) for surface in surfaces.values()) <= MAX_FACES:
        return dict(surfaces)
    # Shares by square root: a coronary tree is small, but bare triangles would tear it.
    weights = {name: math.sqrt(len(surface.faces)) for name, surface in surfaces.items()}
    per_weight = MAX_FACES / sum(weights.values())
    return {
        name: decimated(surface, max(int(weights[name] * per_weight), 4))
        for name, surface in surfaces.items()
    }


def _mesh(name: str, surface: Surface) -> go.Mesh3d:
    index = np.uint16 if len(surface.vertices_mm) < 2**16 else np.uint32
    x, y, z = np.ascontiguousarray(surface.vertices_mm.T, dtype=np.float32)
    i, j, k = np.ascontiguousarray(surface.faces.T, dtype=index)
    return go.Mesh3d(
        name=name,
        **dict(zip("xyzijk", (x, y, z, i, j, k), strict=True)),
        color=rgb(name),
        flatshading=False,
        lighting=_LIGHTING,
        lightposition=_LIGHT,
        hovertemplate=f"{structure(name).title}<extra></extra>",
    )


def _layout(surfaces: Iterable[Surface]) -> dict[str, Any]:
    boxes = [
        bound(surface.vertices_mm, axis=0)
        for surface in surfaces
        if len(surface.vertices_mm)
        for bound in (np.min, np.max)
    ] or [np.zeros(3)]
    low, high = np.min(boxes, axis=0), np.max(boxes, axis=0)
    center, half = (low + high) / 2, max(float((high - low).max()) / 2, 1.0)
    axes = {
        f"{axis}axis": {"visible": False, "range": [middle - half, middle + half]}
        for axis, middle in zip("xyz", center.tolist(), strict=True)
    }
    return {
        "template": "none",
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "showlegend": False,
        "scene": axes
        | {
            "aspectmode": "cube",
            "camera": _FRONT,
            "dragmode": "turntable",
        },
    }
