"""Meshes as pictures, drawn with PyVista without a screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyvista as pv
from draw_flat import written_out
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vecsetx.anatomy.structures import structure, structure_names
from vecsetx.report.mesh_drawing import region_color

SIDES = {"front": (0.15, -1.0, 0.15), "back": (-0.4, 1.0, 0.25), "left": (1.0, -0.25, 0.15)}
"""Directions from the heart to the eye, in LPS+."""

PIXELS = 700
"""Width and height of a panel."""

_INCHES = 4.2
_INFERRED = 0.45
"""Opacity of what was inferred."""

_COLORS = "viridis"


def meshes(
    folders: Sequence[Path],
    titles: Sequence[str],
    only: Sequence[str] | None,
    array: str | None,
    side: str,
) -> Figure:
    """Draw hearts side by side, in the same place and size.

    Vertices that are not ``observed`` are translucent; an array of the vertices colours them all.

    Args:
        folders: Folders of VTP files, one per structure.
        titles: A title per folder.
        only: The structures drawn; None for all.
        array: A point array in place of the structures' colours.
        side: One of :data:`SIDES`.
    """
    hearts = [_heart(folder, only) for folder in folders]
    names = [name for name in structure_names() if any(name in heart for heart in hearts)]
    if array is None:
        drawn = [_structures(heart, side, _box(hearts)) for heart in hearts]
        return _figure(drawn, titles, {name: region_color(name) for name in names})
    values = np.concatenate([mesh[array] for heart in hearts for mesh in heart.values()])
    bounds = (float(np.nanmin(values)), float(np.nanpercentile(values, 98)))
    drawn = [_colored(heart.values(), array, bounds, side, _box(hearts)) for heart in hearts]
    return _with_bar(_figure(drawn, titles, {}), array, bounds)


def cells(path: Path, arrays: Sequence[str], titles: Sequence[str]) -> Figure:
    """Draw a tetrahedral mesh, cut open from the front, once for each array.

    Args:
        path: The mesh.
        arrays: Of points or cells: ``region`` gives the regions' colours, a vector streamlines.
        titles: A title per array.
    """
    mesh = pv.read(path)
    center = np.array(mesh.center)
    # Whole tetrahedra, so that they can be seen.
    half = mesh.extract_cells(mesh.cell_centers().points[:, 1] > center[1])
    drawn, legend, bar = [], {}, None
    for array in arrays:
        plotter = _plotter(mesh.bounds, "front")
        if array == "region":
            pairs = zip(mesh.field_data["Ids"], mesh.field_data["Structures"], strict=True)
            for number, name in pairs:
                part = half.extract_cells(half.cell_data["region"] == number)
                legend[str(name)] = region_color(str(name))
                if part.n_cells:
                    color = [channel / 255 for channel in legend[str(name)]]
                    plotter.add_mesh(part, color=color, show_edges=True, line_width=0.5)
        elif array in mesh.cell_data and mesh.cell_data[array].ndim == 2:
            _add_lines(plotter, half, array)
        else:
            bar = ("" if len(arrays) > 1 else array), mesh.get_data_range(array)
            known = (
                half.threshold(scalars=array, all_scalars=True)
                if np.isnan(half[array]).any()
                else half
            )
            plotter.add_mesh(known, scalars=array, cmap=_COLORS, clim=bar[1], show_scalar_bar=False)
        drawn.append(_shot(plotter))
    figure = _figure(drawn, titles, legend)
    return _with_bar(figure, *bar) if bar else figure


def _heart(folder: Path, only: Sequence[str] | None) -> dict[str, pv.PolyData]:
    names = [name for name in structure_names() if only is None or name in only]
    return {name: pv.read(path) for name in names if (path := folder / f"{name}.vtp").exists()}


def _box(hearts: Sequence[Mapping[str, pv.PolyData]]) -> np.ndarray:
    """The bounds of all hearts: least and most x, y and z."""
    bounds = np.array([mesh.bounds for heart in hearts for mesh in heart.values()])
    return np.stack([bounds[:, ::2].min(axis=0), bounds[:, 1::2].max(axis=0)], axis=1).ravel()


def _structures(heart: Mapping[str, pv.PolyData], side: str, bounds: np.ndarray) -> np.ndarray:
    plotter = _plotter(bounds, side)
    # A heart that is inferred as a whole is drawn as one that is observed.
    known = {
        n: mesh.point_data.get("observed", np.ones(mesh.n_points)) for n, mesh in heart.items()
    }
    partly = any(observed.any() for observed in known.values())
    for name, mesh in heart.items():
        color = [channel / 255 for channel in structure(name).color]
        opaque = known[name] == 1 if partly else np.ones(mesh.n_points, bool)
        for points, opacity in ((opaque, 1.0), (~opaque, _INFERRED)):
            part = mesh.extract_points(points, adjacent_cells=opacity < 1)
            if part.n_cells:
                plotter.add_mesh(part, color=color, opacity=opacity, smooth_shading=True)
    return _shot(plotter)


def _colored(
    parts: Sequence[pv.PolyData], array: str, limits: tuple[float, float], side: str, bounds
) -> np.ndarray:
    plotter = _plotter(bounds, side)
    for mesh in parts:
        plotter.add_mesh(mesh, scalars=array, cmap=_COLORS, clim=limits, show_scalar_bar=False)
    return _shot(plotter)


def _add_lines(plotter: pv.Plotter, half: pv.UnstructuredGrid, array: str) -> None:
    """Add short lines along a vector of the cells."""
    muscle = half.extract_cells(np.linalg.norm(half.cell_data[array], axis=1) > 0.5)
    shell = muscle.extract_surface(algorithm="dataset_surface")
    plotter.add_mesh(shell, color="mistyrose")
    seats = shell.cell_centers()
    seats = seats.extract_points(np.arange(0, seats.n_points, 3))
    line = pv.Line((-0.5, 0, 0), (0.5, 0, 0)).tube(radius=0.08)
    lines = seats.glyph(orient=array, scale=False, factor=3.5, geom=line)
    plotter.add_mesh(lines, color="firebrick")


def _plotter(bounds: Sequence[float], side: str) -> pv.Plotter:
    plotter = pv.Plotter(off_screen=True, window_size=(PIXELS, PIXELS), border=False)
    plotter.set_background("white")
    plotter.enable_anti_aliasing("ssaa")
    plotter.view_vector(SIDES[side], viewup=(0, 0, 1), bounds=bounds)
    return plotter


def _shot(plotter: pv.Plotter) -> np.ndarray:
    plotter.camera.zoom(1.25)
    pixels = plotter.screenshot(return_img=True)
    plotter.close()
    return pixels


def _figure(
    drawn: Sequence[np.ndarray],
    titles: Sequence[str],
    legend: Mapping[str, tuple[int, int, int]],
) -> Figure:
    """Put pictures side by side, with titles above and the names of the colours below."""
    figure = Figure(figsize=(_INCHES * max(len(drawn), 1.4), _INCHES + 0.5), layout="constrained")
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for panel, pixels, title in zip(panels, _cropped(drawn), titles, strict=True):
        panel.imshow(pixels)
        panel.set_title(title)
        panel.set_axis_off()
    names = [Patch(color=[c / 255 for c in color], label=name) for name, color in legend.items()]
    if names and len(drawn) == 1:
        figure.legend(handles=names, loc="outside right center", frameon=False)
    elif names:
        figure.legend(handles=names, loc="outside lower center", ncols=5, frameon=False)
    return figure


def _cropped(drawn: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Crop the same white margin off all pictures."""
    rows, columns = (np.array(drawn) < 255).any(axis=(0, 3)).nonzero()
    kept = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    return [pixels[kept] for pixels in drawn]


def _with_bar(figure: Figure, name: str, limits: tuple[float, float]) -> Figure:
    colors = ScalarMappable(Normalize(*limits), _COLORS)
    figure.colorbar(colors, ax=figure.axes, shrink=0.7, label=written_out(name))
    return figure
