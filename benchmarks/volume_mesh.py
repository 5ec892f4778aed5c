"""Tetrahedral meshes of hearts: shapes, walls, volumes, time and memory, each in its own process.

    python benchmarks/volume_mesh.py HEARTS… [--edge-mm 1.1] [--structures LV,Myocardium]
        [--wall RV=3.5,LA=2] [--valves 1.5] [--json FILE]

HEARTS are what ``vecsetx volume-mesh`` takes. Each heart is meshed by that command. What it says of
the mesh is printed, and what is found in its file: whether every facet inside belongs to exactly
two tetrahedra and every other one to one, whether any tetrahedron is inside out, and in how many
pieces the whole is; and how far fibres and sheets are from unit vectors at right angles. It prints
a table and writes JSON, after each heart.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
from rich.console import Console
from rich.table import Table

from vecsetx.data.find_hearts import find_hearts
from vecsetx.volume_mesh.quality import volumes_mm3
from vecsetx.volume_mesh.splitting import facets_of

_RUN = """
import json, resource, subprocess, sys, time
began = time.monotonic()
rc = subprocess.run([sys.executable, "-m", "vecsetx", *sys.argv[1:]], stdout=sys.stderr).returncode
seconds = time.monotonic() - began
kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"status": rc, "seconds": seconds, "peak_gb": kb / 1e6}))
"""


def meshed(heart: Path, options: list[str], out: Path) -> dict[str, Any]:
    """Mesh a heart in a process of its own; return what it took and what came out."""
    words = ["volume-mesh", str(heart), "--out", str(out), *options]
    ran = subprocess.run(
        [sys.executable, "-c", _RUN, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    if (report := out / "quality.json").exists():
        (found["quality"],) = json.loads(report.read_text())["hearts"].values()
        (file,) = out.glob("*.vtu")
        found |= looked_at(file) | {"file_mb": file.stat().st_size / 1e6}
    return found


def looked_at(file: Path) -> dict[str, Any]:
    """Check a mesh as it was written."""
    mesh = pv.read(file)
    tetrahedra = mesh.cells_dict[pv.CellType.TETRA].astype(np.int32)
    volumes = volumes_mm3(np.asarray(mesh.points, float), tetrahedra)
    facets = np.sort(facets_of(tetrahedra), axis=1)
    order = np.lexsort(facets.T)
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = (facets[order[1:]] != facets[order[:-1]]).any(axis=1)
    counts = np.diff(np.append(np.flatnonzero(starts), len(order)))
    pieces = mesh.connectivity().cell_data["RegionId"]
    return {
        **of_fibres(mesh),
        "most_tetrahedra_per_facet": int(counts.max()),
        "inside_out": int((volumes <= 0).sum()),
        "pieces_of_the_whole": int(pieces.max()) + 1,
    }


def of_fibres(mesh: pv.UnstructuredGrid) -> dict[str, float]:
    """Count the tetrahedra with fibres, and look for those that are no unit vectors at 90°."""
    if "fiber" not in mesh.cell_data:
        return {"with_fibres": 0, "fibres_off_orthonormal": 0.0}
    fibre, sheet = (np.asarray(mesh.cell_data[key], float) for key in ("fiber", "sheet"))
    muscle = np.linalg.norm(fibre, axis=1) > 0.5
    lengths = [np.linalg.norm(each[muscle], axis=1) - 1 for each in (fibre, sheet)]
    off = [*lengths, (fibre * sheet).sum(axis=1)]
    return {
        "with_fibres": int(muscle.sum()),
        "fibres_off_orthonormal": float(max(np.abs(each).max() for each in off)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hearts", type=Path, nargs="+", help="as for vecsetx volume-mesh")
    parser.add_argument("--edge-mm", default="1.1", help="as for vecsetx volume-mesh")
    parser.add_argument("--structures", default="", help="as for vecsetx volume-mesh")
    parser.add_argument("--wall", default="", help="as for vecsetx volume-mesh")
    parser.add_argument("--valves", default="0", help="as for vecsetx volume-mesh")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    given = parser.parse_args()
    options = ["--edge-mm", given.edge_mm, "--structures", given.structures]
    options += ["--wall", given.wall, "--valves", given.valves]
    table = Table(title=f"vecsetx volume-mesh --edge-mm {given.edge_mm}")
    headings = (
        *(
            "heart",
            "tetrahedra",
            "least angle °",
            "1% below °",
            "scaled Jacobian",
            "off interfaces mm",
        ),
        *("largest mm", "largest volume error", "inside out", "per facet", "pieces"),
        *("with fibres", "off orthonormal", "s", "GB"),
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    results = {}
    for name, heart in find_hearts(given.hearts).items():
        with tempfile.TemporaryDirectory() as folder:
            found = results[name] = meshed(heart.path, options, Path(folder))
        if "quality" not in found:
            table.add_row(name, "failed")
            continue
        of = found["quality"]
        worst = max(
            (abs(region["volume_error"]), key)
            for key, region in of["regions"].items()
            if "volume_error" in region
        )
        table.add_row(
            name,
            f"{of['tetrahedra']:,}",
            f"{of['least_dihedral_deg']:.1f}",
            f"{of['dihedral_of_99_percent_deg']:.1f}",
            f"{of['least_scaled_jacobian']:.3f}",
            f"{of['interface_mean_mm']:.4f}",
            f"{of['interface_largest_mm']:.2f}",
            f"{worst[0]:.2%} {worst[1]}",
            str(found["inside_out"]),
            str(found["most_tetrahedra_per_facet"]),
            str(found["pieces_of_the_whole"]),
            f"{found['with_fibres']:,}",
            f"{found['fibres_off_orthonormal']:.0e}",
            f"{found['seconds']:.0f}",
            f"{found['peak_gb']:.2f}",
        )
        if given.json:
            settings = {key: value for key, value in vars(given).items() if isinstance(value, str)}
            given.json.write_text(json.dumps({**settings, "hearts": results}, indent=2))
    Console(width=220).print(table)


if __name__ == "__main__":
    main()
