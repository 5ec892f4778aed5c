"""What a mesh is worth: shapes, edges, volumes, and how far its interfaces are from the field's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from vecsetx.volume_mesh.interface_errors import off_interfaces
from vecsetx.volume_mesh.mesh import TetrahedralMesh
from vecsetx.volume_mesh.pieces import piece_volumes_ml
from vecsetx.volume_mesh.quality import in_parts
from vecsetx.volume_mesh.sampled_field import Field
from vecsetx.volume_mesh.splitting import EDGES

__all__ = [
    "BOUNDS",
    "MeshQuality",
    "is_missed",
    "is_most",
    "is_wrong_volume",
    "measure_quality",
]

BOUNDS: Mapping[str, float] = {
    "least_dihedral_deg": 8.0,
    "dihedral_of_99_percent_deg": 18.0,
    "least_scaled_jacobian": 0.1,
    "interface_mean_mm": 0.15,
    "interface_largest_edges": 0.68,
    "volume_error": 0.01,
    "interface_shift_mm": 0.05,
}
"""What solvers need, at least or (interfaces and volumes) at most; a mesh that misses one is
marked. A volume may be off by more if that moves the surface by less than ``interface_shift_mm`` on
average: of a coronary artery, 1% is a hundredth of a voxel. ``interface_largest_edges`` is the
largest distance of a vertex from the interface that it belongs to, as a multiple of the edges asked
for."""

_NUMBERS = (
    *("least_dihedral_deg", "largest_dihedral_deg", "dihedral_of_99_percent_deg"),
    *("least_scaled_jacobian", "least_radius_ratio", "mean_radius_ratio"),
    *("interface_mean_mm", "interface_largest_mm", "interface_largest_edges"),
)
"""Numbers of the whole mesh."""

_HISTOGRAM_DEG = np.arange(0, 71, 5)


@dataclass(frozen=True, slots=True)
class MeshQuality:
    """The numbers of ``quality.json``.

    Attributes:
        vertices: Number of vertices.
        tetrahedra: Number of tetrahedra.
        numbers: Numbers of the whole mesh, by name; those in :data:`BOUNDS` are bounded.
        histogram: Tetrahedra by their smallest dihedral angle, in steps of 5° from 0°.
        regions: Region → its numbers.
        missed: The bounds that are missed, as sentences.
    """

    vertices: int
    tetrahedra: int
    numbers: Mapping[str, float]
    histogram: Sequence[int]
    regions: Mapping[str, Mapping[str, float]]
    missed: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        return {
            "vertices": self.vertices,
            "tetrahedra": self.tetrahedra,
            **self.numbers,
            "tetrahedra_by_least_dihedral_5_deg": list(self.histogram),
            "regions": {name: dict(numbers) for name, numbers in self.regions.items()},
            "bounds": dict(BOUNDS),
            "missed": list(self.missed),
        }

    @classmethod
    def from_dict(cls, data: Any) -> "MeshQuality":
        """Return the numbers from plain data."""
        regions = {
            str(name): {str(key): float(value) for key, value in numbers.items()}
            for name, numbers in data["regions"].items()
        }
        return cls(
            int(data["vertices"]),
            int(data["tetrahedra"]),
            {name: float(data[name]) for name in _NUMBERS},
            [int(count) for count in data["tetrahedra_by_least_dihedral_5_deg"]],
            regions,
            tuple(map(str, data["missed"])),
        )


def measure_quality(
    mesh: TetrahedralMesh,
    names: Sequence[str],
    field: Field,
    volumes_ml: Float[np.ndarray, " k"],
    areas_mm2: Float[np.ndarray, " k"],
    longest_mm: float,
) -> MeshQuality:
    """Measure a mesh.

    Args:
        mesh: The mesh, with at least one tetrahedron of each region.
        names: Names of the K regions.
        field: What it was made from.
        volumes_ml: Volume of each region before; NaN where none is known, as of added interfaces.
        areas_mm2: Area of each one's surface; NaN likewise.
        longest_mm: Longest of the mean lengths of edges that were asked for.
    """
    least, largest, jacobian, radius_ratio = in_parts(mesh.points_mm, mesh.tetrahedra)
    interfaces = mesh.on_interfaces()
    interface = off_interfaces(field(mesh.points_mm[interfaces]), mesh.around[interfaces])
    numbers = {
        "least_dihedral_deg": float(least.min()),
        "largest_dihedral_deg": float(largest.max()),
        "dihedral_of_99_percent_deg": float(np.quantile(least, 0.01)),
        "least_scaled_jacobian": float(jacobian.min()),
        "least_radius_ratio": float(radius_ratio.min()),
        "mean_radius_ratio": float(radius_ratio.mean()),
        "interface_mean_mm": float(interface.mean()),
        "interface_largest_mm": float(interface.max()),
        "interface_largest_edges": float(interface.max()) / longest_mm,
    }
    regions: dict[str, dict[str, float]] = {}
    for k, name in enumerate(names):
        own = mesh.of_region(k + 1)
        edges = mesh.points_mm[own[:, EDGES]]
        lengths = np.linalg.norm(edges[:, :, 0] - edges[:, :, 1], axis=2)
        pieces_ml = piece_volumes_ml(mesh, k + 1)
        volume_ml = float(pieces_ml.sum())
        regions[name] = {
            "tetrahedra": float(len(own)),
            "pieces": float(len(pieces_ml)),
            "volume_ml": volume_ml,
            "mean_edge_mm": float(lengths.mean()),
            "shortest_edge_mm": float(lengths.min()),
            "longest_edge_mm": float(lengths.max()),
        }
        if not np.isnan(volumes_ml[k]):
            off_ml = volume_ml - float(volumes_ml[k])
            regions[name]["volume_error"] = off_ml / float(volumes_ml[k])
            regions[name]["interface_shift_mm"] = 1000 * off_ml / float(areas_mm2[k])
    counts = np.histogram(least, [*_HISTOGRAM_DEG, 180])[0].tolist()
    missed = (*_missed(numbers), *_wrong_volumes(regions))
    return MeshQuality(len(mesh.points_mm), len(mesh.tetrahedra), numbers, counts, regions, missed)


def is_most(name: str) -> bool:
    """Return whether the bound of a number is the most that it may be; else it is the least."""
    return name.startswith("interface")


def is_missed(name: str, value: float) -> bool:
    """Return whether a number of the whole mesh misses its bound, if it has one."""
    if name not in BOUNDS:
        return False
    return value > BOUNDS[name] if is_most(name) else value < BOUNDS[name]


def is_wrong_volume(region: Mapping[str, float]) -> bool:
    """Return whether the volume of a region is off by too much.

    Args:
        region: Its numbers.
    """
    if "volume_error" not in region:
        return False
    is_off = abs(region["volume_error"]) > BOUNDS["volume_error"]
    return is_off and abs(region["interface_shift_mm"]) > BOUNDS["interface_shift_mm"]


def _missed(numbers: Mapping[str, float]) -> list[str]:
    return [
        f"{name} is {value:.3g}, not at {'most' if is_most(name) else 'least'} {BOUNDS[name]:g}"
        for name, value in numbers.items()
        if is_missed(name, value)
    ]


def _wrong_volumes(regions: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        f"{name}'s volume is off by {of['volume_error']:.1%}, not at most "
        f"{BOUNDS['volume_error']:.0%}"
        for name, of in regions.items()
        if is_wrong_volume(of)
    ]
