"""The page of ``vecsetx volume-mesh``: what the meshes look like, and what they are worth."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vecsetx.report.figures import Figure, figure
from vecsetx.report.mesh_drawing import SCENE_FACETS, MeshDrawing, region_color
from vecsetx.report.template import write_page
from vecsetx.volume_mesh.mesh_quality import BOUNDS, is_missed, is_most, is_wrong_volume

__all__ = ["SHOWN_IN_3D", "write_volume_mesh_page"]

SHOWN_IN_3D = 20
"""Hearts whose interfaces the page has: those with faults first."""

_NUMBERS: Mapping[str, tuple[str, str]] = {
    "least_dihedral_deg": ("Smallest dihedral angle", "{:.1f}°"),
    "dihedral_of_99_percent_deg": ("99% of the tetrahedra reach", "{:.1f}°"),
    "largest_dihedral_deg": ("Largest dihedral angle", "{:.1f}°"),
    "least_scaled_jacobian": ("Least scaled Jacobian", "{:.3f}"),
    "least_radius_ratio": ("Least radius ratio", "{:.3f}"),
    "mean_radius_ratio": ("Mean radius ratio", "{:.3f}"),
    "interface_mean_mm": ("Off interfaces, mean", "{:.3f} mm"),
    "interface_largest_mm": ("Off interfaces, largest", "{:.2f} mm"),
    "interface_largest_edges": ("The same in edges", "{:.2f}"),
}
"""Key in ``quality.json`` → title, and how it is written."""

_STEP_DEG = 5
_BOUND_COLOR = "#c4424c"
_LOWEST_LOG = -0.3
"""Where the logarithmic axis begins, so that a single tetrahedron has a bar."""


def write_volume_mesh_page(
    path: Path, content: Mapping[str, Any], drawings: Mapping[str, MeshDrawing]
) -> None:
    """Write the page.

    Args:
        path: The file.
        content: As in ``quality.json``: ``hearts``, at least one, and ``failed``.
        drawings: Heart → its mesh.
    """
    found = content["hearts"]
    order = sorted(found, key=lambda name: not _faults(found[name]))  # stable: by name otherwise
    shown = order[:SHOWN_IN_3D]
    hearts = [_heart(name, found[name], drawings[name]) for name in order]
    write_page(
        path,
        "volume_mesh.html.jinja",
        title=order[0] if len(order) == 1 else f"Meshes of {len(order)} hearts",
        hearts=hearts,
        faulty=sum(bool(heart["faults"]) for heart in hearts),
        failed=content["failed"],
        blobs={name: drawings[name].blob for name in shown},
        chips=_chips([drawings[name] for name in shown]),
        facets=SCENE_FACETS,
        bounds=BOUNDS,
        region_color=region_color,
        data={
            "plots": {
                f"angles-{number}": _angles(heart["tetrahedra_by_least_dihedral_5_deg"])
                for number, heart in enumerate(hearts)
            },
            "hearts": [{"layout": drawings[name].layout} for name in shown],
        },
    )


def _faults(heart: Mapping[str, Any]) -> list[str]:
    return [*heart["missed"], *([heart["misfit"]] if heart.get("misfit") else [])]


def _heart(name: str, heart: Mapping[str, Any], drawing: MeshDrawing) -> dict[str, Any]:
    """Return a heart of ``quality.json`` as the page shows it."""
    regions = {
        region: {
            **of,
            "volume_error": of.get("volume_error"),
            "input_ml": of["volume_ml"] / (1 + of["volume_error"])
            if "volume_error" in of
            else None,
            "wrong": is_wrong_volume(of),
        }
        for region, of in heart["regions"].items()
    }
    facts = {
        "source": heart["source"],
        "reconstructed by": heart.get("model"),
        "label set": heart["label_set"],
        "edges": ", ".join(f"{region} {mm:g} mm" for region, mm in heart["edges_mm"].items()),
        "vertices": f"{heart['vertices']:,}",
        "tetrahedra": f"{heart['tetrahedra']:,} ({heart['expected_tetrahedra']:,} were expected)",
        "time": f"{heart['seconds']:.0f} s",
    }
    return {
        **heart,
        "name": name,
        "faults": _faults(heart),
        "numbers": [_number(key, heart[key]) for key in _NUMBERS],
        "regions": regions,
        "cuts": drawing.cuts,
        "facts": {key: value for key, value in facts.items() if value is not None},
    }


def _number(key: str, value: float) -> dict[str, Any]:
    title, written = _NUMBERS[key]
    bound = ""
    if key in BOUNDS:
        bound = f"at {'most' if is_most(key) else 'least'} {BOUNDS[key]:g}"
        bound += "".join(unit for unit in ("°", " mm") if written.endswith(unit))
    return {
        "title": title,
        "value": written.format(value),
        "bound": bound,
        "missed": is_missed(key, value),
    }


def _chips(drawings: list[MeshDrawing]) -> list[dict[str, Any]]:
    """Return the interfaces of all hearts, with their colours, and whether they are outside."""
    found = {mesh["name"]: mesh for drawing in drawings for mesh in drawing.layout["meshes"]}
    return [
        {"name": name, "color": mesh["color"], "outer": mesh["outer"]}
        for name, mesh in found.items()
    ]


def _angles(counts: list[int]) -> Figure:
    """Plot how many tetrahedra have a smallest angle in each interval, with the bounds."""
    lows = [_STEP_DEG * number for number in range(len(counts))]
    ranges = [f"{low}–{low + _STEP_DEG}°" for low in lows[:-1]] + [f"over {lows[-1]}°"]
    bars = go.Bar(
        x=[low + _STEP_DEG / 2 for low in lows],
        y=[count or None for count in counts],
        width=_STEP_DEG,
        text=ranges,
        textposition="none",
        marker={"line": {"width": 1, "color": "rgba(128, 128, 128, 0.4)"}},
        hovertemplate="%{text}: %{y:,} tetrahedra<extra></extra>",
    )
    bounds = {"all": BOUNDS["least_dihedral_deg"], "99%": BOUNDS["dihedral_of_99_percent_deg"]}
    lines = [
        {
            **{"type": "line", "x0": deg, "x1": deg, "y0": 0, "y1": 1, "yref": "paper"},
            "line": {"color": _BOUND_COLOR, "width": 2, "dash": "dash"},
        }
        for deg in bounds.values()
    ]
    texts = [
        {
            **{"x": deg, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False},
            "text": f"{which} ≥ {deg:g}°",
            "xanchor": "right" if which == "all" else "left",
            "font": {"size": 12},
        }
        for which, deg in bounds.items()
    ]
    return figure(
        [bars],
        height=330,
        bargap=0,
        xaxis={"title": {"text": "smallest dihedral angle (°)"}, "range": [0, 75], "dtick": 10},
        yaxis={
            "title": {"text": "tetrahedra"},
            **{"type": "log", "dtick": 1, "tickformat": ",~r"},
            "range": [_LOWEST_LOG, math.log10(max(counts)) + 0.2],
        },
        margin={"l": 0, "r": 16, "t": 28, "b": 8},
        shapes=lines,
        annotations=texts,
    )
