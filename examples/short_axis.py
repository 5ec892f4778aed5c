"""Complete a heart from ten short-axis contours, as in cine MRI.

    python examples/short_axis.py MODEL LABELS.nii.gz --out FOLDER [--slices 10] [--resolution 160]

It cuts a whole label map with planes across the left ventricle's long axis, from apex to base. From
each plane, it keeps only the outlines of the structures in a short-axis stack: myocardium, LV and
RV. It writes them to ``contours.csv``, which ``vecsetx reconstruct`` accepts, too. The model
completes the rest of the heart. Outputs: the meshes, and ``short_axis.png`` with contours,
reconstruction (inferred structures are translucent) and truth. Use a model trained to complete
partial hearts (a ``…-partial`` preset). Needs PyVista.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyvista as pv
from scipy import ndimage
from skimage.measure import find_contours

from vecsetx import encode, load, surfaces
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.structures import structure
from vecsetx.formats.label_maps import read_label_map
from vecsetx.reconstruction.mesh_export import write_surfaces
from vecsetx.reconstruction.surfaces import Surface, label_map_surfaces

OBSERVED = ("Myocardium", "LV", "RV")
PIXEL_MM, HALF_WIDTH_MM = 1.0, 90.0


def long_axis(label_map: LabelMap, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a structure's points, RAS+ mm, and the direction of its longest axis."""
    points_mm = label_map.to_mm(np.argwhere(label_map.labels == label).astype(float))
    _, _, directions = np.linalg.svd(points_mm - points_mm.mean(axis=0), full_matrices=False)
    return points_mm, directions[0]


def contours(
    label_map: LabelMap, structures: tuple[str, ...], slices: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield outlines ``[N, 3]`` in RAS+ mm, each with its structure's name."""
    points_mm, axis = long_axis(label_map, structures.index("LV") + 1)
    middle = points_mm.mean(axis=0)
    heights = (points_mm - middle) @ axis
    right = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    right /= np.linalg.norm(right)
    plane = np.stack([right, np.cross(axis, right)])
    steps = np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + PIXEL_MM, PIXEL_MM)
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)
    for height in np.linspace(heights.min(), heights.max(), slices + 2)[1:-1]:
        origin = middle + height * axis
        labels = label_map.at((origin + grid @ plane).reshape(-1, 3)).reshape(grid.shape[:2])
        for name in OBSERVED:
            inside = ndimage.gaussian_filter(
                (labels == structures.index(name) + 1).astype(float), 1
            )
            for outline in find_contours(inside, 0.5):
                yield name, origin + (outline * PIXEL_MM - HALF_WIDTH_MM) @ plane


def write_contours(path: Path, outlines: list[tuple[str, np.ndarray]]) -> None:
    with path.open("w", newline="") as file:
        file.write("# SPACE=RAS\n")
        writer = csv.writer(file)
        writer.writerow(["x", "y", "z", "structure"])
        for name, points_mm in outlines:
            writer.writerows([*point, name] for point in points_mm.round(3).tolist())


def color(name: str) -> list[float]:
    return [channel / 255 for channel in structure(name).color]


def draw(
    path: Path,
    outlines: list[tuple[str, np.ndarray]],
    found: dict[str, Surface],
    truth: dict[str, Surface],
) -> None:
    plotter = pv.Plotter(shape=(1, 3), off_screen=True, window_size=(1500, 560), border=False)
    for column, meshes in enumerate(({}, found, truth)):
        plotter.subplot(0, column)
        for name, outline in outlines if column == 0 else []:
            plotter.add_mesh(pv.lines_from_points(outline), color=color(name), line_width=3)
        for name, surface in meshes.items():
            opacity = 1.0 if name in OBSERVED or column == 2 else 0.55
            plotter.add_mesh(surface.to_pyvista(), color=color(name), opacity=opacity)
        title = ("contours", "reconstruction", "truth")[column]
        plotter.add_text(title, font_size=11, color="black", position="upper_edge")
        plotter.set_background("white")
    plotter.link_views()
    plotter.view_vector((0.4, 1.0, 0.2), viewup=(0, 0, 1))
    plotter.camera.zoom(1.5)
    plotter.screenshot(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("labels", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--resolution", type=int, default=160)
    options = parser.parse_args()
    model = load(options.model)
    read = read_label_map(options.labels)
    label_map = read.to_structures(model.label_set, model.structures, str(options.labels))
    outlines = list(contours(label_map, model.structures, options.slices))
    options.out.mkdir(parents=True, exist_ok=True)
    write_contours(options.out / "contours.csv", outlines)
    found = surfaces(encode(model, options.out / "contours.csv"), resolution=options.resolution)
    write_surfaces(options.out, found, model.structures)  # LPS, and tagged as LPS
    truth = label_map_surfaces(label_map, model.structures)
    draw(options.out / "short_axis.png", outlines, found, truth)


if __name__ == "__main__":
    main()
