"""Structures beyond the outer surface of a mesh."""

from pathlib import Path

import numpy as np
from support.regions import made

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.geometry.heart_geometry import Segmentation
from vecsetx.volume_mesh.interfaces import facets_between, named_interfaces
from vecsetx.volume_mesh.neighbours import with_neighbours
from vecsetx.volume_mesh.parts import Parts

STRUCTURES = ("LV", "Myocardium", "LA")


def test_valves_have_their_names_if_the_atrium_is_not_meshed() -> None:
    """Three blocks: the ventricle in its wall, the atrium on top of both."""
    labels = np.zeros((24, 24, 24), dtype=np.uint8)
    labels[4:20, 4:20, 4:14] = 2
    labels[8:16, 8:16, 8:14] = 1
    labels[4:20, 4:20, 14:20] = 3
    label_map = LabelMap(labels, np.eye(4))
    geometry = Segmentation.of_scan(Path("blocks.nii.gz"), STRUCTURES, label_map).geometry()
    parts = Parts(geometry, STRUCTURES, ("LV", "Myocardium"))
    mesh = made(parts.regions(40.0), 1.5)
    plain = named_interfaces(facets_between(mesh), parts.names)
    assert {each.name for each in plain} == {"LV outside", "LV endocardium", "LV epicardium"}
    found = with_neighbours(plain, mesh.points_mm, parts)
    named = {each.name: each for each in found}
    assert {"mitral valve", "LV endocardium", "LV epicardium", "Myocardium, LA"} <= set(named)
    assert sum(len(each.facets) for each in found) == sum(len(each.facets) for each in plain)
    assert named["mitral valve"].between(parts.names) == ("LV", "LA")
    assert named["LV epicardium"].between(parts.names) == ("Myocardium", "")
    for name in ("mitral valve", "Myocardium, LA"):
        heights = mesh.points_mm[named[name].facets].mean(axis=1)[:, 2]
        assert np.abs(heights - 13.5).max() < 1.0
