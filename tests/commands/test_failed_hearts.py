"""Hearts that could not be prepared are recalled until they are prepared or removed."""

import json
import shutil
from pathlib import Path

import pytest
from support.command_line import run
from support.hearts import write_small_phantoms
from support.here import work_here

from vecsetx.commands import check as checking
from vecsetx.commands import prepare as preparing
from vecsetx.commands.info import describe
from vecsetx.data.dataset import DataSet


def test_failed_hearts_are_recalled_until_prepared_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work_here(monkeypatch, checking, preparing)
    maps, out = tmp_path / "maps", tmp_path / "my data"
    good, bad, copy, gone = write_small_phantoms(maps, 4)
    whole = bad.read_bytes()
    bad.write_bytes(whole[:100])
    gone.write_bytes(b"")
    shutil.copy(good, copy)
    words = ("prepare", maps, "--out", out, "--points", 60)
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert f"next: vecsetx check '{out}'\n" in capsys.readouterr().out
    failed = DataSet.read(out).left_out
    assert list(failed) == [bad.name[:9], copy.name[:9], gone.name[:9]]
    # `info` and `check` recall them with the reasons, on the page, too.
    run("check", out, monkeypatch=monkeypatch)
    said = " ".join(capsys.readouterr().out.split())
    assert "3 hearts of the inputs are not in the data set, until prepared again or" in said
    assert json.loads((out / "check" / "check.json").read_text())["left_out"] == failed
    page = (out / "check" / "check.html").read_text("utf-8")
    told = describe(out)["facts"]["left out"]
    for path, reason in zip((bad, copy, gone), failed.values(), strict=True):
        assert str(path) in reason
        assert str(path) in said
        assert str(path) in page
        assert reason in told
    # Another preparation of other hearts changes nothing.
    assert run("prepare", good, "--out", out, monkeypatch=monkeypatch) == 0
    assert DataSet.read(out).left_out == failed
    # One is repaired and prepared, one removed, one still fails.
    bad.write_bytes(whole)
    gone.unlink()
    assert list(DataSet.read(out).left_out) == [bad.name[:9], copy.name[:9]]
    assert run(*words, monkeypatch=monkeypatch) == 1
    assert list(DataSet.read(out).left_out) == [copy.name[:9]]
    copy.unlink()
    assert "left out" not in describe(out)["facts"]
