"""Picture of a reconstruction, with inferred parts translucent.

    vecsetx reconstruct LABELS.nii.gz --model MODEL --out FOLDER --keep-observed
    python examples/inferred.py FOLDER PICTURE.png

It reads the meshes (VTP), whose point array ``observed`` marks observed vertices, and renders the
heart from two sides. Needs PyVista.
"""

import argparse
from pathlib import Path

import pyvista as pv

from vecsetx.anatomy.structures import structure

SIDES = {"from the front": (0.0, -1.0, 0.1), "from behind, left": (0.8, 1.0, 0.2)}
"""Directions of view in the meshes' LPS+ millimetres."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="output folder of vecsetx reconstruct")
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    found = sorted(options.folder.glob("*.vtp"))
    meshes = {path.stem: pv.read(path) for path in found if path.stem != "interfaces"}
    if not meshes:
        parser.error(f"{options.folder} holds no VTP meshes")
    plotter = pv.Plotter(shape=(1, 2), off_screen=True, window_size=(1300, 640), border=False)
    for column, (title, direction) in enumerate(SIDES.items()):
        plotter.subplot(0, column)
        for name, mesh in meshes.items():
            color = [channel / 255 for channel in structure(name).color]
            for flag, opacity in ((1, 1.0), (0, 0.5)):
                part = mesh.extract_points(mesh["observed"] == flag, adjacent_cells=False)
                if part.n_cells:
                    plotter.add_mesh(part, color=color, opacity=opacity)
        plotter.add_text(title, font_size=11, color="black", position="upper_edge")
        plotter.set_background("white")
        plotter.view_vector(direction, viewup=(0, 0, 1))
        plotter.camera.zoom(1.3)
    plotter.screenshot(options.picture)


if __name__ == "__main__":
    main()
