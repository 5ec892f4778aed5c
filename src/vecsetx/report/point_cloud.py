"""Sample points as an interactive 3-D plotly scene.

Coordinates are in RAS+ mm. The page stores them as float32 in plotly's base64 form, without
rounding.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vecsetx.anatomy.structures import structure
from vecsetx.report.figures import Figure, rgb

# The camera is in front of the patient and looks back: the patient's left is on the right.
_FRONT = {
    "eye": {"x": 0.0, "y": 1.65, "z": 0.0},
    "up": {"x": 0.0, "y": 0.0, "z": 1.0},
    "center": {"x": 0.0, "y": 0.0, "z": 0.0},
}


def points_scene(points_mm: Mapping[str, np.ndarray]) -> Figure:
    """Plot points in 3-D, in the colours of their structures.

    Args:
        points_mm: Structure → ``[N, 3]`` points, RAS+ mm.
    """
    layout = _layout(points_mm.values())
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
    with_legend = layout | {"showlegend": True, "legend": {"itemsizing": "constant"}}
    scene: Figure = go.Figure(traces, layout=with_legend).to_dict()
    return scene


def _layout(clouds: Iterable[np.ndarray]) -> dict[str, Any]:
    """A scene without axes, whose cube contains all points."""
    boxes = [
        bound(points, axis=0) for points in clouds if len(points) for bound in (np.min, np.max)
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
