"""The page of a heart over its cycle: an animation, and its volumes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from vecsetx.report.cine_scene import PackedFrame
from vecsetx.report.figures import Figure, figure, rgb
from vecsetx.report.point_cloud import chips_of
from vecsetx.report.template import write_page

__all__ = ["write_cine_page"]

_CHAMBERS = ("LV", "RV", "LA", "RA", "Myocardium")


def write_cine_page(
    path: Path,
    name: str,
    frames: Mapping[int, PackedFrame],
    times: Mapping[int, float | None],
    summary: Mapping[str, Any],
) -> None:
    """Write the page.

    Args:
        path: The file.
        name: The heart's name.
        frames: Number of a frame → its meshes.
        times: Number of a frame → when it was taken, ms; None where that is not known.
        summary: As in ``summary.json``.
    """
    cycle = summary["cycle"]
    names = dict.fromkeys(mesh["name"] for one in frames.values() for mesh in one.layout["meshes"])
    timed = all(times[number] is not None for number in frames)
    write_page(
        path,
        "cine.html.jinja",
        title=name,
        cycle=cycle,
        remarks=summary["remarks"],
        provenance=summary["provenance"],
        blobs={number: one.blob for number, one in frames.items()},
        chips=chips_of(list(names)),
        data={
            "plots": {"volumes": _volumes(summary["volumes"], times if timed else None)},
            "frames": [
                {
                    "number": number,
                    "time": times[number] if timed else None,
                    "layout": one.layout,
                    "mark": {
                        cycle["end_diastole"]: "end diastole",
                        cycle["end_systole"]: "end systole",
                    }.get(number, ""),
                }
                for number, one in frames.items()
            ],
            "step": cycle["step_ms"],
        },
    )


def _volumes(
    volumes: Mapping[str, Mapping[str, Any]], times: Mapping[int, float | None] | None
) -> Figure:
    """Plot the volumes of the chambers and of the muscle that are known."""
    traces = []
    for name in _CHAMBERS:
        known = {
            int(number): found[f"{name}_volume_ml"]["value"]
            for number, found in volumes.items()
            if found.get(f"{name}_volume_ml", {}).get("value") is not None
        }
        if known:
            traces.append(
                go.Scatter(
                    name=name,
                    x=[times[number] if times else number for number in known],
                    y=[round(ml, 2) for ml in known.values()],
                    mode="lines+markers",
                    line={"color": rgb(name)},
                    hovertemplate=f"{name} %{{y:.1f}} ml<extra></extra>",
                )
            )
    return figure(
        traces,
        height=340,
        xaxis={"title": {"text": "time (ms)" if times else "frame"}},
        yaxis={"title": {"text": "volume (ml)"}, "rangemode": "tozero"},
        showlegend=True,
    )
