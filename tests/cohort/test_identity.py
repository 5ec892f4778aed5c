"""What a result depends on is in its identity: here, what lies beside a label map."""

from pathlib import Path

import pytest

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.exporting import Exporting
from vecsetx.cohort.identity import plain_source
from vecsetx.data.sources import LabelMapSource
from vecsetx.workers.heart_work import key_of


@pytest.mark.parametrize("refused", ["a.label", "a.tsv", "a.CTBL"])
def test_a_table_that_a_remark_refuses_is_part_of_a_label_map_s_identity(
    refused: str, tmp_path: Path
) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"voxels")
    source = LabelMapSource("a", tmp_path / "a.nii.gz", LabelSet("mine", {1: "LV"}))
    before = plain_source(source)
    (tmp_path / "notes.txt").write_text("of no heart")
    assert plain_source(source) == before
    (tmp_path / refused).write_text("no table\n")
    refusing = plain_source(source)
    assert refusing != before
    (tmp_path / "a.itksnap.txt").write_text('1 0 0 0 1 1 1 "LV"\n')
    named = plain_source(source)
    assert named not in (before, refusing)
    # The remarks on a table give its name.
    (tmp_path / "a.itksnap.txt").rename(tmp_path / "a.txt")
    assert plain_source(source) not in (named, refusing, before)


def test_the_order_of_a_label_set_s_ids_counts(tmp_path: Path) -> None:
    """It decides which of a structure's ids is written, and which structure comes first."""
    ids = {1: "LV", 2: "LV"}, {2: "LV", 1: "LV"}
    sets = [LabelSet("mine", of_set) for of_set in ids]
    assert [of_set.id_of("LV") for of_set in sets] == [1, 2]
    keys = {key_of(Exporting(tmp_path, tmp_path, of_set), {}) for of_set in sets}
    assert len(keys) == 2
