"""What a model has inferred does not come back as if it had been observed."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.meshes import bent_ball, write_meshes

from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.formats.own_results import (
    RECONSTRUCTION,
    Guessed,
    guessed_in,
    reconstruction_extension,
    remarks_in_extensions,
)
from vecsetx.reconstruction.mesh_export import write_surface
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.quality.findings import asks_for_a_look


def summary(folder: Path, content: Any) -> Path:
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


def test_inferred_structures_are_left_out_and_partly_inferred_ones_named(tmp_path: Path) -> None:
    write_meshes(tmp_path)
    structures = {
        "LV": {"observed": True, "observed_share": 0.62},
        "RV": {"observed": False, "observed_share": 0.0},
        "LA": {"observed": False, "observed_share": None},  # has no mesh
    }
    summary(tmp_path, {"structures": structures})
    (heart,) = find_hearts([tmp_path]).values()
    found = heart.segmentation(("LV", "RV", "LA"))
    assert [len(faces) > 0 for _, faces in found.closed] == [True, False, False]
    remarks = found.label_map.remarks
    assert remarks == (
        "inferred in part by vecsetx reconstruct: LV (38%)",
        "RV: left out, inferred by vecsetx reconstruct, not observed (to read such a mesh all the "
        "same, move it into another folder)",
    )
    assert all(map(asks_for_a_look, remarks))
    assert heart.annotated(("LV", "RV")) == ("LV",)
    assert [file.name for file in heart.files()] == ["LV.vtp"]


def test_what_was_observed_stays_without_a_word(tmp_path: Path) -> None:
    write_meshes(tmp_path)
    seen = {"observed": True, "observed_share": 0.97}
    summary(tmp_path, {"structures": {"LV": seen, "RV": {**seen, "observed_share": None}}})
    (heart,) = find_hearts([tmp_path]).values()
    assert heart.segmentation(("LV", "RV")).label_map.remarks == ()


def test_a_reconstruction_that_was_stopped_is_no_heart(tmp_path: Path) -> None:
    write_meshes(tmp_path)
    summary(tmp_path, {"unfinished": True, "files": []})
    with pytest.raises(InputError, match=r"was stopped; run vecsetx reconstruct again"):
        next(iter(find_hearts([tmp_path]).values())).files()


@pytest.mark.parametrize(
    "content",
    [
        *([], "x", {}, {"structures": []}, {"structures": {"LV": 3}}, {"unfinished": "yes"}),
        {"structures": {"../x": {"observed": False}, "LV": {"observed": 0, "observed_share": "y"}}},
        {"structures": {"LV": {"observed": True, "observed_share": -1e300}}},
    ],
)
def test_what_others_call_a_summary_says_nothing(content: Any, tmp_path: Path) -> None:
    assert guessed_in(summary(tmp_path, content)) == Guessed()
    assert guessed_in(tmp_path / "none") == Guessed()


@pytest.mark.parametrize("text", ["", "{", '{"structures": {"LV":'])
def test_a_damaged_summary_cannot_tell_and_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(InputError, match=r"summary\.json: cannot be read .* move it away if all"):
        guessed_in(tmp_path)


@pytest.mark.parametrize("extension", ["vtp", "stl", "ply", "obj"])
def test_meshes_say_what_was_inferred_wherever_they_are(extension: str, tmp_path: Path) -> None:
    vertices_mm, faces = bent_ball()
    surface = Surface(vertices_mm.astype(np.float32), faces)
    for name, share in (("LV", 0.0), ("LA", 0.31), ("RA", 0.05), ("PV", 1.0)):
        observed = np.arange(len(vertices_mm)) >= share * len(vertices_mm)
        write_surface(tmp_path / f"{name}.{extension}", surface, name, 1, "lps", observed)
    (heart,) = find_hearts([tmp_path]).values()
    said = heart.segmentation(("LV", "LA", "RA", "PV")).label_map.remarks
    assert said == ("inferred by vecsetx reconstruct, taken as observed here: LA (31%), PV",)


def test_a_result_s_folder_is_called_a_reconstruction(tmp_path: Path) -> None:
    write_meshes(tmp_path)
    seen = {"observed": True, "observed_share": 0.97}
    summary(tmp_path, {"structures": {"LV": seen}, "provenance": {"model": "built-in"}})
    (heart,) = find_hearts([tmp_path]).values()
    assert heart.segmentation(("LV", "RV")).label_map.remarks == (RECONSTRUCTION,)
    assert not asks_for_a_look(RECONSTRUCTION)


@given(comments=st.lists(st.binary(max_size=60), max_size=3), names=st.integers(0, 4))
def test_label_maps_say_what_was_inferred_whatever_else_they_say(
    comments: list[bytes], names: int
) -> None:
    shares = dict(list({"LA": 1.0, "PV": 0.314, "LV": 0.09, "Coronary": 0.997}.items())[:names])
    others = [nib.nifti1.Nifti1Extension(6, comment) for comment in comments]
    found = remarks_in_extensions([*others, reconstruction_extension(shares)])
    listed = ["LA", "LA, PV (31%)", "LA, PV (31%)", "LA, PV (31%), Coronary"][:names][-1:]
    said = [f"inferred by vecsetx reconstruct, taken as observed here: {names}" for names in listed]
    assert found == (RECONSTRUCTION, *said)


@pytest.mark.parametrize("words", [b"", b", , ", b"\xff\xfe", b"../x, \x1b[31m", b"L" * 10**5])
def test_what_is_no_name_of_a_structure_is_not_repeated(words: bytes) -> None:
    extension = nib.nifti1.Nifti1Extension(6, b"VecSetX reconstruction; inferred: " + words)
    assert remarks_in_extensions([extension]) == (RECONSTRUCTION,)
