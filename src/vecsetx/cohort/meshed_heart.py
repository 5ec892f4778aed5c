"""What is known of a heart's tetrahedral mesh."""

from dataclasses import dataclass
from typing import Any

from vecsetx.report.mesh_drawing import MeshDrawing
from vecsetx.volume_mesh.mesh_quality import MeshQuality

__all__ = ["MeshedHeart"]


@dataclass(frozen=True, slots=True)
class MeshedHeart:
    """What is known of a heart's mesh.

    Attributes:
        label_set: Name of the label set that it was read with.
        quality: What the mesh is worth.
        drawing: What the page shows of it.
        edges_mm: Region → mean length of edges at its interfaces that was used.
        tags: Region → its number in the files.
        halved: The structures whose edges were halved, as they are too thin for those asked for.
        expected_tetrahedra: Number of tetrahedra that was estimated for these edges.
        seconds: Time it took.
        remarks: Notes on its files and on its reconstruction, as sentences.
        model: Name of the model whose reconstruction it is of; empty for the heart's own surfaces.
        misfit: Why that reconstruction is not to be used; empty if nothing is wrong with it.
    """

    label_set: str
    quality: MeshQuality
    drawing: MeshDrawing
    edges_mm: dict[str, float]
    tags: dict[str, int]
    halved: tuple[str, ...]
    expected_tetrahedra: int
    seconds: float
    remarks: tuple[str, ...]
    model: str = ""
    misfit: str = ""

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the mesh, as sentences: the bounds that it misses, and a misfit."""
        return (*self.quality.missed, *([self.misfit] if self.misfit else []))

    def to_dict(self) -> dict[str, Any]:
        """Return the heart as plain data, without the drawing."""
        return {
            "label_set": self.label_set,
            "edges_mm": self.edges_mm,
            "tags": self.tags,
            "halved": list(self.halved),
            "expected_tetrahedra": self.expected_tetrahedra,
            "seconds": self.seconds,
            **self.quality.to_dict(),
            "remarks": list(self.remarks),
            **({"model": self.model, "misfit": self.misfit} if self.model else {}),
        }

    @classmethod
    def from_dict(cls, data: Any) -> "MeshedHeart":
        """Return the heart from plain data, with the drawing."""
        return cls(
            str(data["label_set"]),
            MeshQuality.from_dict(data),
            MeshDrawing.from_dict(data["drawing"]),
            {str(name): float(edge) for name, edge in data["edges_mm"].items()},
            {str(name): int(tag) for name, tag in data["tags"].items()},
            tuple(map(str, data["halved"])),
            int(data["expected_tetrahedra"]),
            float(data["seconds"]),
            tuple(map(str, data["remarks"])),
            str(data.get("model", "")),
            str(data.get("misfit", "")),
        )
