"""A tetrahedral mesh for a page: its interfaces in 3-D, and the tetrahedra that planes cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from vecsetx.anatomy.structures import find_structure, structure
from vecsetx.geometry.interfaces import SharedSurface
from vecsetx.reconstruction.decimation import decimate_interfaces
from vecsetx.report.packing import STEP_MM, face_bytes, gzip_base64, in_order_of_use, vertex_bytes
from vecsetx.report.panels import ACROSS, BACKGROUND, PIXELS_PER_INCH, VIEWS, frame, webp
from vecsetx.solver_files.solver_mesh import SolverMesh
from vecsetx.volume_mesh.interfaces import Interface
from vecsetx.volume_mesh.plane_cut import PlaneCut, cut_by_plane, richest_place_mm

__all__ = ["SCENE_FACETS", "MeshDrawing", "draw_mesh", "region_color"]

SCENE_FACETS = 16_000
"""Triangles of the interfaces of a mesh in the 3-D scene; finer ones are simplified."""

_MARGIN_MM = 4.0
"""Margin around the heart in a picture."""

_DETAIL_EDGES = 20.0
"""Width of the detail, as a multiple of a long edge of the polygons: three quarters are shorter."""

_INCH = 6.2
_UNKNOWN = (150, 150, 150)
_PALE = 0.5
"""Weight of a structure's colour in that of its wall; the rest is white."""


@dataclass(frozen=True, slots=True)
class MeshDrawing:
    """A mesh as stored in a page: some hundred kB.

    Attributes:
        layout: Layout of ``blob`` as plain data; ``volume_mesh.js`` reads it.
        blob: The interfaces: gzip in base64.
        cuts: Title → picture of what a plane cuts, as a data URI.
    """

    layout: Mapping[str, Any]
    blob: str
    cuts: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return the drawing as plain data."""
        return {"layout": dict(self.layout), "blob": self.blob, "cuts": dict(self.cuts)}

    @classmethod
    def from_dict(cls, data: Any) -> "MeshDrawing":
        """Return the drawing from plain data."""
        cuts = {str(title): str(picture) for title, picture in data["cuts"].items()}
        return cls(dict(data["layout"]), str(data["blob"]), cuts)


def region_color(name: str) -> tuple[int, int, int]:
    """Return the colour of a region: red, green and blue in 0…255.

    A wall has a pale version of its structure's; a region that is no structure is grey.
    """
    if known := find_structure(name):
        return structure(known).color
    if known := find_structure(name.removesuffix("Wall")):
        red, green, blue = (round(255 + _PALE * (c - 255)) for c in structure(known).color)
        return red, green, blue
    return _UNKNOWN


def draw_mesh(whole: SolverMesh) -> MeshDrawing:
    """Draw a mesh."""
    layout, blob = _packed(whole)
    return MeshDrawing(layout, blob, _cuts(whole))


def _packed(whole: SolverMesh) -> tuple[dict[str, Any], str]:
    """Pack the interfaces, simplified; their borders stay where they meet others."""
    facets = np.concatenate([interface.facets for interface in whole.interfaces])
    used, faces = np.unique(facets, return_inverse=True)
    number = np.repeat(
        np.arange(1, len(whole.interfaces) + 1), [len(each.facets) for each in whole.interfaces]
    )
    # Several interfaces may lie between the same two regions: their numbers distinguish them.
    sides = np.stack([number, np.zeros_like(number)], axis=1)
    points_mm = whole.mesh.points_mm[used]
    coarse = decimate_interfaces(
        SharedSurface(points_mm, faces.reshape(-1, 3), sides), SCENE_FACETS
    )
    low_mm = np.floor(coarse.vertices_mm.min(axis=0))
    parts, meshes = [], []
    for index, interface in enumerate(whole.interfaces, start=1):
        own = coarse.faces[coarse.sides[:, 0] == index]
        vertices_mm, own = in_order_of_use(coarse.vertices_mm, own)
        parts += [vertex_bytes(vertices_mm, low_mm), face_bytes(own)]
        meshes.append(
            {
                "name": interface.name,
                "color": _css(_interface_color(interface, whole.names)),
                "vertices": len(vertices_mm),
                "faces": len(own),
                "outer": 0 in interface.sides,
            }
        )
    layout = {
        "low": low_mm.tolist(),
        "high": np.ceil(coarse.vertices_mm.max(axis=0)).tolist(),
        "step": STEP_MM,
        "meshes": meshes,
    }
    return layout, gzip_base64(b"".join(parts))


def _interface_color(interface: Interface, names: Sequence[str]) -> tuple[int, int, int]:
    """Return the mean of the colours of the regions on both sides."""
    colors = [region_color(names[side - 1]) for side in interface.sides if side]
    red, green, blue = (round(sum(parts) / len(colors)) for parts in zip(*colors, strict=True))
    return red, green, blue


def _css(color: tuple[int, int, int]) -> str:
    return f"rgb({color[0]}, {color[1]}, {color[2]})"


def _cuts(whole: SolverMesh) -> dict[str, str]:
    """Draw what a plane across each axis cuts, and a detail of where the most regions meet."""
    mesh = whole.mesh
    low_mm, high_mm = mesh.points_mm.min(axis=0), mesh.points_mm.max(axis=0)
    half_mm = float((high_mm - low_mm).max()) / 2 + _MARGIN_MM
    everything = _Square((low_mm + high_mm) / 2, half_mm)
    colors = np.array([region_color(name) for name in whole.names]) / 255
    places_mm = {view: richest_place_mm(mesh, ACROSS[view]) for view in VIEWS}
    cuts = {view: cut_by_plane(mesh, ACROSS[view], place) for view, place in places_mm.items()}
    details = {view: _detail(cut) for view, cut in cuts.items()}
    richest = max(VIEWS, key=lambda view: details[view][0])
    found = {}
    for view, cut in cuts.items():
        marked = details[view][1] if view == richest else None
        title = f"{view}, {'RAS'[ACROSS[view]]} = {places_mm[view]:.0f} mm".replace("-", "−")
        found[title] = _picture(cut, view, colors, everything, marked)
    square = details[richest][1]
    found[f"{richest}: the square"] = _picture(cuts[richest], richest, colors, square, named=False)
    return found


class _Square(NamedTuple):
    """A part of a plane: its middle, and half of its width."""

    middle_mm: np.ndarray
    half_mm: float


def _detail(cut: PlaneCut) -> tuple[int, _Square]:
    """Return the largest number of regions in a small square, and that square."""
    edges = cut.corners_mm - np.roll(cut.corners_mm, -1, axis=1)
    half_mm = _DETAIL_EDGES / 2 * float(np.quantile(np.linalg.norm(edges, axis=2), 0.75))
    # Squares of a grid: of those with the most regions, the one with the most polygons.
    squares = np.floor(cut.corners_mm.mean(axis=1) / half_mm).astype(np.int64)
    cells, number = np.unique(squares, axis=0, return_inverse=True)
    present = np.zeros((len(cells), int(cut.region.max()) + 1), dtype=np.int64)
    np.add.at(present, (number.ravel(), cut.region), 1)
    regions, polygons = (present > 0).sum(axis=1), present.sum(axis=1)
    best = np.lexsort((polygons, regions))[-1]
    return int(regions[best]), _Square((cells[best] + 0.5) * half_mm, half_mm)


def _picture(
    cut: PlaneCut,
    view: str,
    colors: np.ndarray,
    square: _Square,
    marked: _Square | None = None,
    named: bool = True,
) -> str:
    """Draw a square part of what a plane cuts; mark another square in it; name directions."""
    across, up = (axis for axis in range(3) if axis != ACROSS[view])
    figure = Figure(
        figsize=(_INCH, _INCH), dpi=PIXELS_PER_INCH, facecolor=tuple(BACKGROUND.tolist())
    )
    panel: Axes = figure.add_axes((0, 0, 1, 1))
    polygons = cut.corners_mm[:, :, [across, up]]
    half_mm, (a, b) = square.half_mm, square.middle_mm[[across, up]]
    near = (np.abs(polygons - [a, b]).min(axis=1) < 1.2 * half_mm).all(axis=1)
    pixels_per_mm = _INCH * PIXELS_PER_INCH / (2 * half_mm)
    edges = polygons[near] - np.roll(polygons[near], -1, axis=1)
    typical = pixels_per_mm * float(np.median(np.linalg.norm(edges, axis=2)))
    panel.add_collection(
        PolyCollection(
            list(polygons[near]),
            facecolors=colors[cut.region[near] - 1],
            edgecolors=(0.03, 0.04, 0.06, 0.9),
            # Lines are thin beside what they enclose, so that colours are still seen.
            linewidths=float(np.clip(typical / 14, 0.12, 0.9)),
        )
    )
    if marked is not None:
        (x, y), half = marked.middle_mm[[across, up]], marked.half_mm
        panel.add_patch(
            Rectangle(
                (x - half, y - half),
                2 * half,
                2 * half,
                fill=False,
                edgecolor="white",
                linewidth=1.4,
            )
        )
    frame(panel, view, (a - half_mm, a + half_mm, b - half_mm, b + half_mm), named)
    return webp(figure)
