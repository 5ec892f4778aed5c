"""Labelled points: their places, their structures, and the line of what is wrong."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.meshes import write_vtp
from support.points import POINTS, cloud

from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.errors import InputError
from vecsetx.formats.points import LabelledPoints, read_points
from vecsetx.views.contours_file import write_points

STRUCTURES = ("LV", "Aorta")
DEFAULT = label_set("default")
NAMES = ["LV", "aorta", "heart_ventricle_left", "3", "6"]
NUMBERS = [0, 1, 0, 0, 1]


def csv_text(points=POINTS, names=NAMES, head="x,y,z,structure"):
    rows = [f"{x!r},{y!r},{z!r},{name}" for (x, y, z), name in zip(points, names, strict=True)]
    return "\n".join([head, *rows]) + "\n"


def write_csv(path, text):
    path.write_text(text)
    return path


def test_a_table_by_names_aliases_and_ids(tmp_path):
    found = read_points(write_csv(tmp_path / "a.csv", csv_text()), STRUCTURES, DEFAULT, "ras")
    assert found.points_mm.tolist() == POINTS
    assert found.structure.tolist() == NUMBERS
    assert found.points_mm.dtype == np.float64
    assert found.structure.dtype == np.int64


def test_the_table_in_the_docs(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    table = page.partition("\n# SPACE=LPS\n")[2].partition("```")[0]
    rows = table.splitlines() + ["-6.0,-11.4,99.7,2"]
    path = write_csv(tmp_path / "a.csv", "# SPACE=LPS\n" + "\n".join(rows))
    found = read_points(path, ("LV", "LA"), DEFAULT)
    assert found.points_mm[0].tolist() == [-12.5, 33.1, 104.0]
    assert found.structure.tolist() == [0, 0, 1, 1]


def test_the_space_of_a_table(tmp_path):
    turned = (np.array(POINTS) * [-1, -1, 1]).tolist()
    path = write_csv(tmp_path / "a.csv", csv_text())
    assert read_points(path, STRUCTURES, DEFAULT).points_mm.tolist() == turned
    write_csv(path, "# written by hand\n# SPACE=RAS\n" + csv_text())
    assert read_points(path, STRUCTURES, DEFAULT, "lps").points_mm.tolist() == POINTS
    write_csv(path, "# SPACE=LPS\n" + csv_text())
    assert read_points(path, STRUCTURES, DEFAULT, "ras").points_mm.tolist() == turned
    write_csv(path, "# SPACE=RSA\n" + csv_text())
    with pytest.raises(InputError, match=r"a\.csv: unknown space 'RSA'"):
        read_points(path, STRUCTURES, DEFAULT)


def test_columns_in_any_order_among_others(tmp_path):
    rows = [f"n, {name}, {z}, {x}, {y}" for (x, y, z), name in zip(POINTS, NAMES, strict=True)]
    text = "\ufeffnote, Structure, Z, X, Y\n" + "\n".join(rows)
    found = read_points(write_csv(tmp_path / "a.csv", text), STRUCTURES, DEFAULT, "ras")
    assert found.points_mm.tolist() == POINTS
    assert found.structure.tolist() == NUMBERS


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=4, max_size=9))
def test_numbers_come_back_to_the_last_bit(tmp_path, points):
    text = csv_text(points, ["LV"] * len(points))
    found = read_points(write_csv(tmp_path / "a.csv", text), STRUCTURES, DEFAULT, "ras")
    assert found.points_mm.tolist() == [list(point) for point in points]


@pytest.mark.parametrize(
    "arrays",
    [{"structure": NAMES}, {"structure": [3, 6, 3, 3, 6]}, {"label": [3.0, 6.0, 3.0, 3.0, 6.0]}],
)
def test_vtp(tmp_path, arrays):
    path = write_vtp(tmp_path / "a.vtp", cloud(**arrays))
    found = read_points(path, STRUCTURES, DEFAULT, "ras")
    assert found.points_mm.tolist() == POINTS
    assert found.structure.tolist() == NUMBERS
    write_vtp(path, cloud(**arrays), "LPS")
    found = read_points(path, STRUCTURES, DEFAULT, "ras")
    assert found.points_mm.tolist() == (np.array(POINTS) * [-1, -1, 1]).tolist()


def test_structures_not_asked_for_and_dropped_are_left_out(tmp_path):
    names = ["LV", "LV", "RV", "LV", "LV"]
    path = write_csv(tmp_path / "a.csv", csv_text(names=names))
    found = read_points(path, ("LV",), DEFAULT, "ras")
    assert found.points_mm.tolist() == [POINTS[i] for i in (0, 1, 3, 4)]
    mine = LabelSet("mine", {1: "LV"}, drop=frozenset({7}))
    path = write_csv(tmp_path / "b.csv", csv_text(names=["1", "1", "7", "1", "1"]))
    assert read_points(path, ("LV",), mine, "ras").structure.tolist() == [0] * 4
    with pytest.raises(InputError, match=r"0 of its 5 points belong to RA; give at least 4"):
        read_points(path, ("RA",), mine)


BAD = {
    "nan": (
        csv_text([*POINTS[:4], [1, float("nan"), 3]]),
        r"line 6: \[1\.0, nan, 3\.0\] is not finite",
    ),
    "infinite": (csv_text([*POINTS[:4], [1, 2, float("-inf")]]), "line 6: .* is not finite"),
    "a word": (csv_text().replace("4,5,6", "4,five,6"), "line 3: could not convert.*'five'"),
    "an empty field": (csv_text().replace("4,5,6", "4,,6"), "line 3: could not convert"),
    "a short line": (csv_text() + "1,2,3\n", "line 7: unknown structure ''"),
    "unknown name": (
        csv_text(names=["LV", "LV", "Aorte", "LV", "LV"]),
        "line 4: .*did you mean Ao",
    ),
    "after comments": (
        "# a\n\n# b\n" + csv_text(names=["LV"] * 4 + ["x"]),
        "line 9: unknown structure",
    ),
    "not in label set": (csv_text(names=["SVC"] * 5), "line 2: SVC is not in .*--labels default16"),
    "unknown id": (csv_text(names=["77"] * 5), "line 2: id 77 is not in label set default"),
    "background": (csv_text(names=["0"] * 5), "line 2: id 0 is not"),
    "few": (csv_text(POINTS[:3], NAMES[:3]), "3 of its 3 points .* give at least 4"),
    "none": ("x,y,z,structure\n", "0 of its 0 points"),
    "nothing": ("", "has no column x, y, z, structure"),
    "no structure": (csv_text(head="x,y,z,label"), "has no column structure; .*'x,y,z,label'"),
    "decimal commas": (
        csv_text().replace("4,5,6", "4,0,5,0,6,0"),
        "line 3: has more values than the first line has columns",
    ),
    "a column twice": (csv_text(head="x,y,z,structure,X"), "has several columns x"),
    "an underscore": (csv_text().replace("4,5,6", "4_0,5,6"), "line 3: could not convert.*'4_0'"),
    "digits of another script": (
        csv_text().replace("4,5,6", "\uff14,5,6"),
        "line 3: could not convert.*'\uff14'",
    ),
    "two spaces": ("# SPACE=RAS\n# SPACE=LPS\n" + csv_text(), "states several spaces .lps, ras"),
    "semicolons": (csv_text().replace(",", ";"), "has no column x, y, z, structure"),
}


@pytest.mark.parametrize("case", BAD)
def test_tables_that_cannot_be_used(tmp_path, case):
    text, reason = BAD[case]
    with pytest.raises(InputError, match=rf"a\.csv(: |, ){reason}"):
        read_points(write_csv(tmp_path / "a.csv", text), STRUCTURES, DEFAULT)


def test_vtp_that_cannot_be_used(tmp_path, capfd):
    path = write_vtp(tmp_path / "a.vtp", cloud())
    with pytest.raises(InputError, match=r"a\.vtp: has no point data 'structure' or 'label'"):
        read_points(path, STRUCTURES, DEFAULT)
    write_vtp(path, cloud([*POINTS[:4], [1, 2, np.nan]], label=[3] * 5))
    with pytest.raises(InputError, match=r"a\.vtp, point 4: .* is not finite"):
        read_points(path, STRUCTURES, DEFAULT)
    write_vtp(path, cloud(label=[3, 3, 3.5, 3, 3]))
    with pytest.raises(InputError, match=r"a\.vtp, point 2: unknown structure '3\.5'"):
        read_points(path, STRUCTURES, DEFAULT)
    path.write_text("no XML")
    with pytest.raises(InputError, match=r"a\.vtp: cannot be read as VTP"):
        read_points(path, STRUCTURES, DEFAULT)
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read as a table"):
        read_points(tmp_path / "gone.csv", STRUCTURES, DEFAULT)
    with pytest.raises(InputError, match=r"a\.xyz: unsupported point format"):
        read_points(tmp_path / "a.xyz", STRUCTURES, DEFAULT)
    assert capfd.readouterr() == ("", "")


PLY = """ply
format {form} 1.0
comment made for a test {space}
element vertex {count}
property double x
property double y
property double z
property uchar label
end_header
"""


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("space", "signs"), [("", (-1, -1, 1)), ("SPACE=RAS", (1, 1, 1))])
def test_ply(tmp_path, binary, space, signs):
    ids = np.array([[3, 6][number] for number in NUMBERS], np.uint8)
    form = "binary_little_endian" if binary else "ascii"
    head = PLY.format(form=form, space=space, count=len(POINTS)).encode()
    kind = np.dtype([("xyz", "<f8", 3), ("label", "u1")])
    rows = np.empty(len(POINTS), kind)
    rows["xyz"], rows["label"] = POINTS, ids
    if binary:
        body = rows.tobytes()
    else:
        lines = (f"{' '.join(map(repr, xyz.tolist()))} {i}" for xyz, i in rows)
        body = "\n".join(lines).encode() + b"\n"
    path = tmp_path / "points.ply"
    path.write_bytes(head + body)
    found = read_points(path, STRUCTURES, DEFAULT)
    np.testing.assert_array_equal(found.points_mm, np.array(POINTS) * signs)
    np.testing.assert_array_equal(found.structure, NUMBERS)


def test_ply_that_cannot_be_used(tmp_path):
    path = tmp_path / "points.ply"
    path.write_text("no PLY at all")
    with pytest.raises(InputError, match="cannot be read as PLY points"):
        read_points(path, STRUCTURES, DEFAULT)
    head = PLY.format(form="ascii", space="", count=1).replace("property uchar label\n", "")
    path.write_text(head + "1 2 3\n")
    with pytest.raises(InputError, match="no property 'structure' or 'label'"):
        read_points(path, STRUCTURES, DEFAULT)


@given(
    arrays(np.float64, st.tuples(st.integers(4, 9), st.just(3)), elements=st.floats(-999, 999)),
    st.randoms(use_true_random=False),
)
def test_written_points_are_read_again(tmp_path_factory, points_mm, random) -> None:
    names = ("LV", "RV", "Myocardium")
    structure = np.array([random.randrange(3) for _ in points_mm])
    path = tmp_path_factory.mktemp("points") / "points.csv"
    write_points(path, LabelledPoints(points_mm, structure), names)
    # What the file says counts, not what is said of it.
    found = read_points(path, names, label_set("default"), space="lps")
    np.testing.assert_allclose(found.points_mm, points_mm, atol=5.1e-5)
    np.testing.assert_array_equal(found.structure, structure)
