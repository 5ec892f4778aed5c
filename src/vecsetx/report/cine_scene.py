"""The meshes of a frame for a page, small enough to play a whole cycle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsetx.reconstruction.surfaces import Surface, decimate
from vecsetx.report.packing import STEP_MM, face_bytes, gzip_base64, in_order_of_use, vertex_bytes

__all__ = ["CINE_FACES", "FRAME_FACES", "PackedFrame", "pack_frame"]

CINE_FACES, FRAME_FACES = 200_000, 16_000
"""Most triangles of all frames on a page, and of one."""


@dataclass(frozen=True, slots=True)
class PackedFrame:
    """A frame as stored in a page.

    Attributes:
        layout: Layout of ``blob`` as plain data; ``cine.js`` reads it.
        blob: Its meshes: gzip in base64.
    """

    layout: Mapping[str, Any]
    blob: str


def pack_frame(surfaces: Mapping[str, Surface], faces: int) -> PackedFrame:
    """Pack the meshes of a frame.

    Args:
        surfaces: Structure → surface.
        faces: Triangles of all structures together.
    """
    # Shares by the square root of the count, so that thin vessels do not break.
    weights = {name: math.sqrt(len(surface.faces)) for name, surface in surfaces.items()}
    whole = sum(weights.values())
    meshes = {}
    for name, surface in surfaces.items():
        simple = decimate(surface, max(int(faces * weights[name] / whole), 40))
        meshes[name] = Surface(*in_order_of_use(simple.vertices_mm, simple.faces))
    corners = [mesh.vertices_mm for mesh in meshes.values()]
    every = np.concatenate(corners) if corners else np.zeros((1, 3), dtype=np.float32)
    low_mm = np.floor(every.min(axis=0).astype(np.float64))
    parts = []
    for mesh in meshes.values():
        parts += [vertex_bytes(mesh.vertices_mm, low_mm), face_bytes(mesh.faces)]
    layout = {
        "low": low_mm.tolist(),
        "high": np.ceil(every.max(axis=0).astype(np.float64)).tolist(),
        "step": STEP_MM,
        "meshes": [
            {"name": name, "vertices": len(mesh.vertices_mm), "faces": len(mesh.faces)}
            for name, mesh in meshes.items()
        ],
    }
    return PackedFrame(layout, gzip_base64(b"".join(parts)))
