"""Shifts of a heart whose distances are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sliced_hearts import off_mm
from support.ball_slices import RADIUS_MM, XY, XZ, YZ, of_ball
from support.cine import NAMES, cine, sliced, true_distances, true_shifts

from vecsetx.errors import InputError
from vecsetx.views.agreement import Agreement
from vecsetx.views.contours import contours_of
from vecsetx.views.crossings import crossings_of, mismatch_mm
from vecsetx.views.one_heart import check_one_heart, shift_table, stacked_structures
from vecsetx.views.shifts import MOST_MM, Alignment, align, holds_of
from vecsetx.views.slices import Slice

PATHS = [Path(f"{name}.nii.gz") for name in ("sax", "4ch", "2ch")]
ORACLE = true_distances()


MOST = np.array([MOST_MM, MOST_MM, 0.0])


def axes(slices: list[Slice]) -> np.ndarray:
    return np.stack([one.axes for one in slices])


def off_within_mm(found_mm: np.ndarray, true_mm: np.ndarray, slices: list[Slice]) -> np.ndarray:
    """How far shifts are off within the slices, but for a translation of all."""
    return off_mm(found_mm[:, :2], true_mm[:, :2], axes(slices)[:, :2])


@pytest.fixture(scope="module")
def slices() -> list[Slice]:
    return sliced(cine()[0])


@pytest.fixture(scope="module")
def true_mm(slices: list[Slice]) -> np.ndarray:
    return true_shifts(slices, cine()[1])


@pytest.fixture(scope="module")
def aligned(slices: list[Slice]) -> Alignment:
    return align(slices, np.arange(len(slices)), ORACLE)


def test_crossings_alone_find_the_shifts(slices: list[Slice], true_mm: np.ndarray) -> None:
    holds = np.arange(len(slices))
    found_mm = Agreement.of(slices).start(holds, MOST)
    unshifted = off_within_mm(np.zeros_like(true_mm), true_mm, slices)
    assert unshifted.mean() > 2.5
    assert off_within_mm(found_mm, true_mm, slices).mean() < 0.8
    assert np.abs(found_mm).max() <= MOST_MM


def test_the_true_heart_draws_slices_to_their_places(
    aligned: Alignment, slices: list[Slice], true_mm: np.ndarray
) -> None:
    assert off_within_mm(aligned.shifts_mm, true_mm, slices).mean() < 0.9
    # Not only up to a translation of all.
    assert np.linalg.norm(aligned.shifts_mm - true_mm, axis=1).mean() < 1.2
    assert aligned.kept.all()
    before_mm, after_mm = aligned.mismatch_mm
    assert after_mm < 0.25 * before_mm
    moves = aligned.shifted().points_mm - aligned.contours.points_mm
    np.testing.assert_allclose(moves, aligned.moves_mm[aligned.contours.slice], atol=1e-9)
    normals = np.stack([one.normal for one in slices])
    np.testing.assert_allclose((aligned.moves_mm * normals).sum(axis=1), 0, atol=1e-9)


def test_slices_find_their_heights_if_they_may_move_through_their_planes() -> None:
    heights_mm, true_mm = np.array([-30.0, -22, -14, 14, 22, 30]), np.array([2, -2.5, 0, 2, -1, 1])
    slices = [
        of_ball(XY, (0, 0, height), (0, 0, -through))
        for height, through in zip(heights_mm, true_mm, strict=True)
    ]
    slices += [of_ball(XZ, (0, 5, 0)), of_ball(YZ, (-5, 0, 0))]

    def ball(_: object):
        return lambda points_mm: np.linalg.norm(points_mm, axis=1)[:, None] - RADIUS_MM

    found = align(slices, np.arange(8), ball, 3.0)
    # The preference for small shifts leaves some undone.
    assert np.abs(found.shifts_mm[:6, 2] - true_mm).mean() < 0.5 * np.abs(true_mm).mean()
    assert (np.sign(np.rint(found.shifts_mm[:6, 2])) == np.sign(true_mm)).all()
    np.testing.assert_allclose(found.shifts_mm[:, :2], 0, atol=0.6)
    still = align(slices, np.arange(8), ball)
    assert (still.shifts_mm[:, 2] == 0).all()
    assert found.mismatch_mm[1] < 0.7 * still.mismatch_mm[1]
    assert np.abs(align(slices, np.arange(8), ball, 1.5).shifts_mm[:, 2]).max() <= 1.5
    # What the table tells.
    table = shift_table(found, PATHS, "slice", [])
    assert [row["through_mm"] for row in table["slices"]] == found.shifts_mm[:, 2].tolist()
    normals = np.stack([one.normal for one in slices])
    moves_mm = np.array([row["shift_mm"] for row in table["slices"]])
    np.testing.assert_allclose((moves_mm * normals).sum(axis=1), found.shifts_mm[:, 2], atol=1e-9)
    mean_mm = np.abs(found.shifts_mm[:, 2]).mean()
    told = f"of that, {mean_mm:.1f} mm on average are through the slices' planes"
    assert told in table["remarks"]


def test_without_shifts_contours_stay_where_they_are(slices: list[Slice]) -> None:
    found = align(slices, holds_of(slices, "none"), ORACLE)
    assert (found.shifts_mm == 0).all()
    for part, expected in zip(found.shifted(), contours_of(slices), strict=True):
        np.testing.assert_array_equal(part, expected)
    assert found.mismatch_mm[0] == found.mismatch_mm[1]


def test_all_slices_of_a_view_shift_alike(slices: list[Slice]) -> None:
    holds = holds_of(slices, "view")
    assert holds is not None
    assert (holds == [one.view for one in slices]).all()
    still, _ = cine(largest_mm=0.0)
    moved = sliced(still)
    moved = [
        replace(one, origin_mm=one.origin_mm + 5 * one.directions[0]) if one.view == 0 else one
        for one in moved
    ]
    found = align(moved, holds, ORACLE)
    stack = found.shifts_mm[holds == 0]
    assert (stack == stack[0]).all()
    true_mm = np.where(holds[:, None] == 0, [-5.0, 0.0, 0.0], 0.0)
    assert off_within_mm(found.shifts_mm, true_mm, moved).max() < 0.8


def test_views_are_numbered_anew_where_one_is_left_out(slices: list[Slice]) -> None:
    """A view of which nothing is left has no hold."""
    some = [one for one in slices if one.view != 1]
    assert holds_of(some, "view") is not None
    assert {*holds_of(some, "view").tolist()} == {0, 1}  # type: ignore[union-attr]
    assert holds_of(some, "slice").tolist() == list(range(len(some)))  # type: ignore[union-attr]
    assert holds_of(some, "none") is None


def test_a_damaged_slice_is_left_out_and_named(slices: list[Slice]) -> None:
    wrong = replace(slices[4], labels=np.roll(slices[4].labels, (40, 25), axis=(0, 1)))
    found = align([*slices[:4], wrong, *slices[5:]], np.arange(len(slices)), ORACLE)
    assert np.flatnonzero(~found.kept).tolist() == [4]
    assert 4 not in found.shifted().slice
    check_one_heart(found, PATHS, "slice")
    table = shift_table(found, PATHS, "slice", [])
    assert table["left_out"] == ["sax 5"]
    assert any("left out: sax 5 (" in remark for remark in table["remarks"])
    assert [row["kept"] for row in table["slices"]] == [number != 4 for number in range(12)]


def test_a_slice_is_left_out_if_one_of_its_structures_lies_elsewhere(slices: list[Slice]) -> None:
    """RV on the other side: the wall and LV still fit, and the mean stays below the bound."""
    (right,) = (k + 1 for k, name in enumerate(NAMES) if name == "RV")
    labels = slices[4].labels.copy()
    labels[labels == right] = 0
    labels[::-1][(slices[4].labels == right) & (labels[::-1] == 0)] = right
    found = align([*slices[:4], replace(slices[4], labels=labels), *slices[5:]], None, ORACLE)
    assert np.flatnonzero(~found.kept).tolist() == [4]
    own = found.contours.slice == 4
    off_mm = np.abs(true_distances()(None)(found.contours.points_mm[own]))
    off_mm = off_mm[np.arange(own.sum()), found.contours.structure[own]]
    of_structures = [
        off_mm[found.contours.structure[own] == k].mean()
        for k in np.unique(found.contours.structure[own])
    ]
    assert found.residuals_mm[4] == pytest.approx(off_mm.mean())
    assert found.worst_mm[4] == pytest.approx(max(of_structures))
    remarks = shift_table(found, PATHS, "none", [])["remarks"]
    assert any(f"left out: sax 5 ({max(of_structures):.1f} mm off)" in one for one in remarks)


def test_the_place_of_a_structure_that_few_slices_show_is_not_known(slices: list[Slice]) -> None:
    """The heart that the others show has its LA anywhere."""
    atrium = NAMES.index("LA")

    def guessed(contours: object):
        def distances(points_mm: np.ndarray) -> np.ndarray:
            found = ORACLE(contours)(points_mm).copy()
            found[:, atrium] = 15.0
            return found

        return distances

    found = align(slices, None, guessed)
    assert found.kept.all()
    assert found.worst_mm.max() < 7
    assert found.residuals_mm.max() > align(slices, None, ORACLE).residuals_mm.max()


@pytest.mark.parametrize(
    ("shifts", "after_mm", "told"),
    [
        ("slice", 4.9, None),
        ("slice", 5.1, "5.1 mm on average after the shifts: views may be of different phases"),
        ("view", 7.9, None),
        ("view", 8.1, "after the shifts: --shifts slice may bring them together, or views may"),
        ("none", 8.1, "on average: --shifts slice may bring them together, or views may"),
    ],
)
def test_slices_that_still_differ_are_a_doubt(shifts, after_mm: float, told: str | None) -> None:
    remarks = shift_table(invented([1, 1, 1], [0, 0, 1], after_mm), PATHS, shifts, [])["remarks"]
    differing = [remark for remark in remarks if "different structures" in remark]
    assert len(differing) == (told is not None)
    assert all(str(told) in one and "gaps between slices" in one for one in differing)


def test_a_view_that_does_not_fit_at_all_is_named_as_a_view() -> None:
    aligned = invented([1, 1, 1, 9], [0, 0, 1, 2])
    (remark,) = (r for r in shift_table(aligned, PATHS, "slice", [])["remarks"] if "left out" in r)
    assert "as a whole does not fit the heart of the others (9.0 mm off)" in remark
    assert "header" in remark


def test_a_refusal_without_shifts_blames_no_shifts() -> None:
    aligned = invented([5, 5, 5, 5], [0, 0, 0, 1])
    with pytest.raises(InputError, match="slices do not fit together as they lie") as error:
        check_one_heart(aligned, PATHS, "none")
    assert "no shifts" not in str(error.value)


def test_views_of_two_patients_are_refused() -> None:
    own, other = cine()[0], cine(size=1.35, seed=1)[0]
    mixed = sliced({name: (own if name == "sax" else other)[name] for name in own})
    found = align(mixed, np.arange(len(mixed)), ORACLE)
    with pytest.raises(InputError) as error:
        check_one_heart(found, PATHS, "slice")
    for words in (
        "sax.nii.gz",
        "of up to 10 mm along each direction",
        "mm (median)",
        "give views of one patient",
    ):
        assert words in str(error.value)


def invented(residuals_mm: list[float], views: list[int], after_mm: float = 1.0) -> Alignment:
    """An alignment with given residuals."""
    some = [replace(sliced(cine()[0])[0], view=view, name=f"v {view}") for view in views]
    residuals = np.array(residuals_mm, dtype=float)
    kept = residuals <= max(4.0, 3 * float(np.median(residuals)))
    shifts_mm = np.zeros((len(views), 3))
    parts = (some, contours_of(some), shifts_mm, residuals, MOST, kept)
    return Alignment(*parts, (5.0, after_mm), residuals)


@pytest.mark.parametrize(
    ("residuals_mm", "views", "after_mm", "shifts", "refused"),
    [
        ([1, 1, 1, 1], [0, 0, 0, 1], 1, "slice", False),
        ([5, 5, 5, 5], [0, 0, 0, 1], 1, "slice", True),  # far from any heart
        ([1, 1, 1, 9], [0, 0, 0, 1], 1, "slice", True),  # a single view remains
        ([1, 1, 1, 9], [0, 0, 1, 1], 1, "slice", False),
        ([1, 1, 1, 9, 9], [0, 0, 1, 1, 1], 1, "slice", True),  # over a third
        ([1, 1, 1, 9], [0, 0, 0, 0], 1, "slice", False),  # a damaged slice of a stack
        ([1, 1, 1, 1], [0, 0, 0, 1], 8.1, "slice", True),
        ([1, 1, 1, 1], [0, 0, 0, 1], 8.1, "view", False),
        ([1, 1, 1, 1], [0, 0, 0, 1], np.nan, "slice", False),
    ],
)
def test_what_counts_as_one_heart(residuals_mm, views, after_mm, shifts, refused: bool) -> None:
    aligned = invented(residuals_mm, views, float(after_mm))
    if not refused:
        check_one_heart(aligned, PATHS, shifts)
        remarks = shift_table(aligned, PATHS, shifts, [])["remarks"]
        told = any("show different structures on 8.1 mm" in remark for remark in remarks)
        assert told == (shifts == "view")
        return
    with pytest.raises(InputError):
        check_one_heart(aligned, PATHS, shifts)


def test_the_table_of_shifts_is_plain_and_tells_all(aligned: Alignment) -> None:
    table = shift_table(aligned, PATHS, "slice", ["sax: a remark"])
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    lengths = []
    for row, one in zip(table["slices"], aligned.slices, strict=True):
        assert (row["view"], row["slice"]) == (f"{one.name.split()[0]}.nii.gz", one.number)
        along = np.array(row["along_mm"]) @ np.array(row["directions"])
        assert row["through_mm"] == 0
        np.testing.assert_allclose(row["shift_mm"], along, atol=1e-9)
        lengths.append(np.linalg.norm(row["along_mm"]))
    assert table["mean_mm"] == pytest.approx(np.mean(lengths))
    assert table["largest_mm"] == pytest.approx(max(lengths))
    first, second = table["remarks"]
    assert first == "sax: a remark"
    farthest = aligned.slices[int(np.argmax(lengths))].name
    assert second == (
        f"slices were shifted by {np.mean(lengths):.1f} mm on average, and by "
        f"{max(lengths):.1f} mm at most ({farthest})"
    )


def test_structures_of_a_stack_are_those_of_several_slices_of_one_view(aligned: Alignment) -> None:
    shown = stacked_structures(aligned.contours, aligned.slices)
    assert [NAMES[k] for k in shown] == ["Myocardium", "LV", "RV"]  # the atria: one slice per view
    some = [number for number, one in enumerate(aligned.slices) if one.view > 0 or one.number == 5]
    alone = contours_of([aligned.slices[number] for number in some])
    assert stacked_structures(alone, [aligned.slices[number] for number in some]) == []


def test_a_stack_alone_takes_its_shifts_from_the_heart(slices: list[Slice]) -> None:
    stack = [one for one in slices if one.view == 0]
    true_mm = true_shifts(stack, cine()[1])
    found = align(stack, np.arange(len(stack)), ORACLE)
    assert off_within_mm(found.shifts_mm, true_mm, stack).mean() < 1.0
    table = shift_table(found, PATHS, "slice", [])
    assert table["mismatch_mm"] == {"before": None, "after": None}
    assert any("the model alone" in remark for remark in table["remarks"])


def test_the_mismatch_of_damaged_slices_does_not_count(slices: list[Slice]) -> None:
    wrong = replace(slices[4], labels=np.roll(slices[4].labels, (40, 25), axis=(0, 1)))
    found = align([*slices[:4], wrong, *slices[5:]], None, ORACLE)
    good = [number for number in range(len(slices)) if found.kept[number]]
    assert 4 not in good
    rest = [found.slices[number] for number in good]
    expected = mismatch_mm(rest, crossings_of(rest), np.zeros((len(rest), 3))).mean()
    assert found.mismatch_mm[0] == pytest.approx(expected)


def test_names_are_those_of_the_bodies() -> None:
    assert {*np.unique(cine()[0]["4ch"].labels)} == {*range(len(NAMES) + 1)}


def test_a_shift_at_its_bound_is_told_of_slices_that_are_kept() -> None:
    aligned = invented([1, 1, 1, 9], [0, 0, 0, 0])
    shifts_mm = np.array([[0, 0, 0], [1.0, 0, 0], [0, -MOST_MM, 0], [MOST_MM, 0, 0]])
    remarks = shift_table(replace(aligned, shifts_mm=shifts_mm), PATHS, "slice", [])["remarks"]
    bound = (
        "shifts along a direction reached their bound of 10 mm, so these slices may lie elsewhere"
    )
    assert f"{bound}: v 0" in remarks
    bounded = replace(aligned, most_mm=np.array([MOST_MM, MOST_MM, 2.0]))
    through_mm = np.array([[0, 0, -2.0], [0, 0, 1.9], [0, 0, 0], [0, 0, 2]])
    told = shift_table(replace(bounded, shifts_mm=through_mm), PATHS, "slice", [])["remarks"]
    assert any("through the plane reached their bound of 2 mm" in one for one in told)
    assert not any(
        "bound" in remark for remark in shift_table(bounded, PATHS, "slice", [])["remarks"]
    )
    assert remarks[0].startswith("slices were shifted by 3.7 mm on average, and by 10.0 mm at most")
