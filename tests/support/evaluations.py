"""Evaluations whose page no test looks at: it takes longer than the scores."""

import pytest

from vecsetx.commands import evaluate as evaluating


def write_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``evaluate`` write scores only."""
    monkeypatch.setattr(evaluating._Page, "make", lambda *_: None)
    monkeypatch.setattr(evaluating._Page, "files", lambda *_: ())
