"""Views of a heart that lies in a scanner, and of its mirror images."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from support.cine import NAMES, cine, sliced

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.errors import InputError
from vecsetx.views.sides import check_sides, is_mirrored
from vecsetx.views.slices import Slice

PATHS = [Path("sax.nii.gz"), Path("4ch.nii.gz"), Path("2ch.nii.gz")]
# Columns: where the bodies' x (to the RV), y and z (from the apex to the atria) point, RAS+.
RIGHT, BASE = np.array([0.77, 0.64, -0.07]), np.array([0.60, -0.47, 0.65])
TURN = np.linalg.qr(np.stack([BASE, RIGHT], axis=1), mode="complete")[0]
TURN *= np.sign([TURN[:, 0] @ BASE, TURN[:, 1] @ RIGHT, 1.0])
LIES = np.stack([TURN[:, 1], np.cross(TURN[:, 0], TURN[:, 1]), TURN[:, 0]], axis=1)


def lying(turn: np.ndarray, names: tuple[str, ...] = ("sax", "4ch", "2ch")) -> list[Slice]:
    affine = np.eye(4)
    affine[:3, :3] = turn
    views = cine()[0]
    return sliced({n: LabelMap(views[n].labels, affine @ views[n].affine) for n in names})


@pytest.mark.parametrize("signs", [*product((1, -1), repeat=3)])
def test_an_odd_number_of_wrong_signs_mirrors(signs: tuple[int, ...]) -> None:
    assert np.linalg.det(LIES) == pytest.approx(1)
    slices = lying(np.diag(signs) @ LIES)
    mirrored = np.prod(signs) < 0
    assert is_mirrored(slices, NAMES) == mirrored
    if not mirrored:
        assert check_sides(slices, NAMES, PATHS, False) == ()
        return
    with pytest.raises(InputError, match=r"^sax\.nii.*2ch\.nii\.gz: left and right are exchanged"):
        check_sides(slices, NAMES, PATHS, False)
    (remark,) = check_sides(slices, NAMES, PATHS, True)
    assert "trusted although left and right are exchanged" in remark


def test_what_does_not_decide() -> None:
    mirror = np.diag([-1, 1, 1]) @ LIES
    assert is_mirrored(lying(mirror), NAMES)
    assert not is_mirrored(lying(mirror, ("sax",)), NAMES)  # no atrium
    assert not is_mirrored(lying(mirror), tuple(name.replace("RV", "PA") for name in NAMES))
    # A heart along the axes lies like no other, and the mirror images of its views are as near.
    for signs in product((1, -1), repeat=3):
        assert not is_mirrored(lying(np.diag(signs)), NAMES)


def test_an_atrium_beside_the_ventricle_in_a_stack_does_not_decide() -> None:
    views = cine()[0]
    for signs in product((1, -1), repeat=3):
        affine = np.eye(4)
        affine[:3, :3] = np.diag(signs) @ LIES
        labels = views["sax"].labels.copy()
        left = labels[..., 9] == NAMES.index("LV") + 1
        labels[..., 9][np.roll(left, -30, axis=1)] = NAMES.index("LA") + 1
        stack = sliced({"sax": LabelMap(labels, affine @ views["sax"].affine)})
        assert not is_mirrored(stack, NAMES)
