"""The page of ``vecsetx shape fit``: modes to play, new hearts, and the cohort."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vecsetx.population.heart_space import HeartSpace
from vecsetx.population.space_file import Cohort
from vecsetx.progress import Progress
from vecsetx.report.figures import Figure, figure
from vecsetx.report.point_cloud import chips_of
from vecsetx.report.space_scene import NEW, SpacePageSize, pack_space, page_shapes
from vecsetx.report.template import write_page

__all__ = ["most_unusual_first", "write_space_page"]

_BARS = 20
"""Modes in the figure of variances."""

_COLUMNS = 3
"""Coordinates in the table of hearts."""


def most_unusual_first(cohort: Cohort) -> list[str]:
    """Return the hearts of a cohort by the larger one of their ranks of distance and residual."""
    ranks = [np.argsort(np.argsort(values)) for values in (cohort.distances, cohort.residuals)]
    order = np.lexsort((-np.sum(ranks, axis=0), -np.max(ranks, axis=0)))
    return [cohort.names[k] for k in order]


def write_space_page(
    path: Path, space: HeartSpace, template: str, progress: Progress, size: SpacePageSize
) -> None:
    """Write the page.

    Args:
        path: The file.
        space: The space.
        template: Name of the template heart.
        progress: Counts the shapes of the page, as many as :func:`page_shapes` returns.
        size: How much the page holds.

    Raises:
        InputError: The mean heart is empty.
    """
    saved, cohort = space.saved, space.saved.cohort
    unusual = most_unusual_first(cohort)
    shapes = page_shapes(space, unusual, size)
    packed = pack_space(space, shapes, size.faces, progress)
    drawn = np.stack([s.coordinates[0] for s in shapes if s.group == NEW] or [saved.space.sd * 0])
    viewed = {shape["name"] for shape in packed.layout["shapes"]}
    write_page(
        path,
        "space.html.jinja",
        title=f"Shape space of {len(cohort.names)} hearts",
        saved=saved,
        leading=saved.space.leading,
        modes=len(saved.space.sd),
        drawn=size.drawn,
        groups=_groups(packed.layout["shapes"]),
        blob=packed.blob,
        chips=chips_of(packed.structures),
        hearts=_rows(space, unusual, viewed),
        columns=min(_COLUMNS, len(saved.space.sd)),
        template_heart=template,
        data={
            "plots": {
                "variance": _variance(saved.space.position_shares),
                "coordinates": _coordinates(cohort, drawn),
                "volumes": _volumes(saved.structures, cohort, packed.drawn_ml),
            },
            "space": packed.layout,
        },
    )


def _groups(shapes: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, str]]]:
    """Return heading → numbers and names of its shapes."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, shape in enumerate(shapes):
        found.setdefault(shape["group"], []).append((number, shape["name"]))
    return found


def _rows(space: HeartSpace, unusual: Sequence[str], viewed: set[str]) -> list[dict[str, Any]]:
    cohort, mm = space.saved.cohort, space.trained.mm_per_unit
    places = {name: k for k, name in enumerate(cohort.names)}
    return [
        {
            "name": name,
            "viewed": name in viewed,
            "distance": float(cohort.distances[places[name]]),
            "residual_mm": float(cohort.residuals[places[name]] * mm),
            "coordinates": cohort.coordinates[places[name], :_COLUMNS].tolist(),
        }
        for name in unusual
    ]


def _variance(shares: np.ndarray) -> Figure:
    modes = list(range(1, min(len(shares), _BARS) + 1))
    total = np.cumsum(shares)[: len(modes)]
    traces = [
        go.Bar(
            name="each mode",
            x=modes,
            y=np.round(shares[: len(modes)], 4).tolist(),
            hovertemplate="mode %{x}: %{y:.1%}<extra></extra>",
        ),
        go.Scatter(
            name="all up to it",
            x=modes,
            y=np.round(total, 4).tolist(),
            mode="lines+markers",
            hovertemplate="modes 1 to %{x}: %{y:.1%}<extra></extra>",
        ),
    ]
    return figure(
        traces,
        height=320,
        xaxis={"title": {"text": "mode"}},
        yaxis={"tickformat": ".0%", "range": [0, 1.02], "title": {"text": "share of variance"}},
        showlegend=True,
    )


def _coordinates(cohort: Cohort, drawn: np.ndarray) -> Figure:
    """Plot the hearts along the first two modes, or the only one."""
    second = min(1, cohort.coordinates.shape[1] - 1)
    found = [
        ("fitted hearts", cohort.coordinates, list(cohort.names), {"size": 9}),
        ("new hearts", drawn, None, {"size": 6, "opacity": 0.7}),
    ]
    traces = [
        go.Scatter(
            name=name,
            x=np.round(rows[:, 0], 3).tolist(),
            y=np.round(rows[:, second], 3).tolist(),
            text=names,
            mode="markers",
            marker=marker,
            hovertemplate="%{text}<extra></extra>" if names else "new heart<extra></extra>",
        )
        for name, rows, names, marker in found
    ]
    return figure(
        traces,
        height=320,
        xaxis={"title": {"text": "mode 1 (s.d.)"}},
        yaxis={"title": {"text": f"mode {second + 1} (s.d.)"}},
        showlegend=True,
    )


def _volumes(
    structures: Sequence[str], cohort: Cohort, drawn_ml: Mapping[str, Sequence[float]]
) -> Figure:
    """Plot the volumes of each structure: those of the cohort, and of new hearts."""
    sides = {
        "fitted hearts": {
            name: [ml for ml in column.tolist() if np.isfinite(ml)]
            for name, column in zip(structures, cohort.volumes_ml.T, strict=True)
        },
        "new hearts": {name: list(drawn_ml.get(name, ())) for name in structures},
    }
    traces = [
        go.Box(
            name=side,
            x=[name for name, values in volumes.items() for _ in values],
            y=[round(ml, 2) for values in volumes.values() for ml in values],
            boxpoints="all",
            jitter=0.5,
            pointpos=0,
            marker={"size": 4, "opacity": 0.6},
            line={"width": 1.5},
        )
        for side, volumes in sides.items()
    ]
    return figure(
        traces,
        height=380,
        xaxis={},
        yaxis={"title": {"text": "volume (ml)"}, "rangemode": "tozero"},
        boxmode="group",
        showlegend=True,
    )
