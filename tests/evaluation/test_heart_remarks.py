"""What is said of a reconstructed heart: each remark where it holds, and nowhere else."""

from typing import Any

import pytest

from vecsetx.evaluation.heart_remarks import HeartRemark, as_sentence, heart_remarks

REFINEMENT = HeartRemark("Not refined (--refine 0)")
LOST = (
    "Not where the input shows it (Dice below 0.3): LV; --keep-observed keeps what the input shows"
)
REFINED = {"loss_before": 2.0, "loss_after": 1.0, "error_mm_before": None, "error_mm_after": None}


def structure(**changes: Any) -> dict[str, Any]:
    agreement = {"volume_differs": False, "dice": 0.97}
    usual = dict.fromkeys(("doubtful", "specks", "decimation", "input_width_mm"))
    return {"agreement": agreement, "observed": True, **usual, **changes}


def remarks(
    structures: dict[str, Any],
    voxel_mm: float = 1.0,
    said: tuple[str, ...] = (),
    misfit: str = "",
    not_compared: str | None = None,
    complete: bool = False,
    refined: dict[str, Any] | None = None,
) -> list[HeartRemark]:
    provenance = {"mesh_resolution_mm": voxel_mm, "refined": refined, "refine": 0, "remarks": said}
    provenance |= {"not_compared": not_compared, "complete": complete}
    return heart_remarks({"structures": structures, "provenance": provenance, "misfit": misfit})


def test_nothing_is_said_of_a_heart_like_its_input() -> None:
    assert remarks({"LV": structure(input_width_mm=2.0), "PA": structure(agreement=None)}) == [
        REFINEMENT
    ]


@pytest.mark.parametrize(
    ("width_mm", "voxel_mm", "fine"),
    [(2.1, 2.875, "1"), (1.99, 1.0, "0.9"), (0.15, 0.1, "0.1")],
)
def test_a_vessel_below_two_voxels_is_named_with_what_suits_it(
    width_mm: float, voxel_mm: float, fine: str
) -> None:
    found, _ = remarks({"Coronary": structure(input_width_mm=width_mm)}, voxel_mm)
    assert found.kind == "look"
    assert f"Coronary ({width_mm:.1f} mm); --resolution-mm {fine} is fine enough" in found.text


def test_an_observed_structure_elsewhere_is_a_fault_and_a_hidden_one_is_not() -> None:
    elsewhere = {"volume_differs": True, "volume_difference": 0.3, "dice": 0.2}
    structures = {"LV": structure(agreement=elsewhere)}
    structures["RV"] = structure(agreement=elsewhere, observed=False)
    assert remarks(structures)[:2] == [
        HeartRemark("! over 10% off the input's volume: LV, RV (not shown to the model)", "look"),
        HeartRemark(f"{LOST}, and --refine 100 comes nearer to it", "fault"),
    ]
    for steps, more in ((99, ", and --refine 100 comes nearer to it"), (100, "")):
        assert remarks(structures, refined={**REFINED, "steps": steps})[1].text == LOST + more
    for difference in (0.3, -0.3):
        structures["RV"]["agreement"] = {**elsewhere, "volume_difference": difference}
        assert remarks(structures, complete=True)[0].text == (
            "! over 10% off the input's volume: LV, RV (not shown to the model) "
            "(with --complete, LV may go on beyond the input)"
        )


def test_removed_pieces_are_counted_by_structure() -> None:
    structures = {"LV": structure(specks={"number": 2, "ml": 7.0})}
    structures["RA"] = structure(specks={"number": 1, "ml": 0.16})
    found, _ = remarks(structures)
    assert found == HeartRemark(
        "Pieces that nothing in the input supports were removed: LV 2 (7 ml), RA 1 (0.16 ml); "
        "--keep-specks keeps them"
    )


def test_decimation_is_told_by_where_it_moved_a_surface_most() -> None:
    errors = {"LV": (0.1, 0.9), "LAA": (1.13, 5.62), "RV": None}
    structures = {
        name: structure(decimation=of and {"mean_mm": of[0], "max_mm": of[1]})
        for name, of in errors.items()
    }
    found, _ = remarks(structures)
    assert found == HeartRemark(
        "Decimation moved surfaces by 1.1 mm on average in LAA, where it moved them most, and by "
        "up to 5.6 mm there",
        "look",
    )
    del structures["LAA"]
    assert remarks(structures)[0].kind == "note"


def test_a_heart_that_was_not_compared_says_why() -> None:
    found, _ = remarks({"LV": structure(agreement=None)}, not_compared="it is so")
    assert found.text.startswith("Not compared with the input, as it is so, so that ")
    assert found.kind == "look"


def test_only_a_misfit_among_the_run_s_own_remarks_is_a_fault() -> None:
    chosen = "its ids fit label set mmwhs, which was used"
    assert remarks({}, said=("no heart", "odd", chosen), misfit="no heart") == [
        HeartRemark("No heart", "fault"),
        REFINEMENT,
        HeartRemark("Odd", "look"),
        HeartRemark(as_sentence(chosen), "note"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the input has no PA.", "The input has no PA"),
        ("labels.nii.gz lacks a part", "labels.nii.gz lacks a part"),
        ("first: a remark", "First: a remark"),
        ("LV is odd", "LV is odd"),
        ("3 files were left out", "3 files were left out"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_names_stay(text: str, sentence: str) -> None:
    assert as_sentence(text) == sentence


@pytest.mark.parametrize("why", ["0.9 ml in its mesh, and …", "9 pieces, and …", "25 mm off its …"])
def test_a_coarse_mesh_is_named_where_it_may_be_why(why: str) -> None:
    inferred = {"Coronary": structure(agreement=None, observed=False, doubtful=[why])}
    fine, coarse = (remarks(inferred, voxel_mm)[0].text for voxel_mm in (1.5, 2.4))
    assert fine == f"Coronary is doubtful: {why}"
    reason = " (voxels of 2.4 mm may break its mesh: try --resolution-mm 1)"
    assert coarse == fine + reason * ("off" not in why)


def test_doubtful_structures_that_the_input_lacks_share_a_remark() -> None:
    lacking = structure(agreement=None, observed=False, doubtful=["why"])
    hidden = structure(observed=False, doubtful=["so"])
    found = remarks({"LV": structure(), "PV": lacking, "LA": hidden, "LAA": lacking})[:-1]
    assert [remark.text for remark in found] == [
        "LA is doubtful: so",
        "Doubtful, and not in the input: PV: why; LAA: why; --structures LV,LA leaves them out",
    ]
    assert remarks({"LV": structure(), "PV": lacking})[0].text == "PV is doubtful: why"
    (alone, _) = remarks({"PV": lacking, "LAA": lacking})
    assert alone.text == "Doubtful, and not in the input: PV: why; LAA: why"
