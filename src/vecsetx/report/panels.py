"""Pictures of planes along the patient's axes, in radiological convention."""

import base64
import io
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["ACROSS", "BACKGROUND", "PIXELS_PER_INCH", "VIEWS", "frame", "webp"]

VIEWS = ("Axial", "Coronal", "Sagittal")

ACROSS: Mapping[str, int] = MappingProxyType({"Axial": 2, "Coronal": 1, "Sagittal": 0})
"""RAS axis perpendicular to each view."""

BACKGROUND = np.array([16, 19, 24]) / 255

PIXELS_PER_INCH = 100

_EDGES = {"Axial": "RLAP", "Coronal": "RLSI", "Sagittal": "APSI"}
"""Directions at the left, right, upper and lower edge, in radiological convention."""

_QUALITY = 72


def frame(
    panel: Axes, view: str, extent: tuple[float, float, float, float], named: bool = True
) -> None:
    """Set the limits of a view, and name its directions.

    Args:
        panel: What the view is drawn on, with coordinates along the two RAS axes that it shows.
        view: One of :data:`VIEWS`.
        extent: Lowest and highest coordinate across, then upward.
        named: Whether the directions are named.
    """
    left, right, low, high = extent
    # Radiological convention: the patient's right, or in sagittal views the front, is on the left.
    panel.set_xlim(right, left)
    panel.set_ylim(low, high)
    panel.set_aspect("equal")
    panel.set_axis_off()
    if not named:
        return
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.02))
    aligned = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for (x, y), (ha, va), letter in zip(places, aligned, _EDGES[view], strict=True):
        panel.text(
            x, y, letter, transform=panel.transAxes, color="#e8ecf2", fontsize=9, ha=ha, va=va
        )


def webp(figure: Figure) -> str:
    """Draw a figure and return the picture as a data URI."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    stream = io.BytesIO()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    Image.fromarray(pixels).save(stream, "WEBP", quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()
