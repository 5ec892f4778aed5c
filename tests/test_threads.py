"""How many threads share work."""

import pytest

from vecsetx.machine import cores, threads


@pytest.mark.parametrize(("wanted", "expected"), [("1", 1), ("3", 3), ("", 0), ("0", 0), ("x", 0)])
def test_threads_are_those_of_the_environment_or_one_per_core(
    monkeypatch: pytest.MonkeyPatch, wanted: str, expected: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert threads() == (expected or cores())
    assert cores() >= 1
