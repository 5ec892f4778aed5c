"""Draw a picture of a tutorial: python tutorials/draw.py KIND FILES --out PICTURE.webp.

Kinds: ``meshes`` (folders of VTP files, side by side), ``cells`` (a tetrahedral mesh, cut open),
``labels`` (slices of label maps), ``curve`` (columns of a CSV file or keys of JSON lines), ``page``
(a picture of a page), ``file`` (a picture as it is).
"""

import argparse
import base64
import io
import re
from pathlib import Path

import draw_3d
import draw_flat
import matplotlib
from PIL import Image

WIDTH = 1200
"""Largest width of a picture, pixels."""

_DATA_URI = re.compile(r"data:image/webp;base64,([A-Za-z0-9+/=]+)")


def main() -> None:
    """Draw one picture."""
    given = _options().parse_args()
    matplotlib.rcParams.update({"font.size": 11, "savefig.dpi": 110})
    picture = _drawn(given).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    picture.save(given.out, "WEBP", quality=80, method=6)


def _drawn(given: argparse.Namespace) -> Image.Image:
    titles = given.titles.replace("_", " ").split(",") if given.titles else [""] * len(given.files)
    if given.kind == "file":
        return Image.open(given.files[0])
    if given.kind == "page":
        found = _DATA_URI.findall(given.files[0].read_text(encoding="utf-8"))
        return Image.open(io.BytesIO(base64.b64decode(found[given.number])))
    if given.kind == "labels":
        figure = draw_flat.labels(given.files, titles)
    elif given.kind == "curve":
        figure = draw_flat.curves(given.files, titles, given.x, given.y.split(","), given.dots)
    elif given.kind == "cells":
        figure = draw_3d.cells(given.files[0], given.arrays.split(","), titles)
    else:
        only = given.only.split(",") if given.only else None
        figure = draw_3d.meshes(given.files, titles, only, given.arrays, given.side)
    return draw_flat.pixels(figure)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "kind", choices=("meshes", "cells", "labels", "curve", "page", "file"), help="kind"
    )
    parser.add_argument("files", nargs="+", type=Path, help="what is drawn")
    parser.add_argument("--out", type=Path, required=True, help="the picture, .webp")
    parser.add_argument("--titles", help="a title per panel, with _ for spaces: input,result")
    parser.add_argument("--only", help="structures of meshes: LV,RV")
    parser.add_argument("--arrays", help="what colours meshes: an array; cells: one per panel")
    parser.add_argument("--side", choices=tuple(draw_3d.SIDES), default="front", help="of the view")
    parser.add_argument("--x", help="column along the picture")
    parser.add_argument("--y", help="columns upwards: LV_volume_ml,RV_volume_ml")
    parser.add_argument("--dots", action="store_true", help="draw dots, not lines")
    parser.add_argument("--number", type=int, default=0, help="number of a page's picture")
    return parser


if __name__ == "__main__":
    main()
