"""Messages name a file and a remedy, whatever a file holds."""

from hypothesis import given
from hypothesis import strategies as st

from vecsetx.errors import DamagedError, InputError, missing_module


@given(st.text(max_size=1500))
def test_ordinary_messages_are_whole(message: str) -> None:
    assert str(InputError(message)) == message


@given(st.integers(0, 100_000), st.sampled_from([InputError, DamagedError]))
def test_of_a_long_value_the_middle_is_left_out(length: int, kind: type[InputError]) -> None:
    shown = str(kind(f"heart.tsv: has a name {'x' * length}; rename it"))
    assert shown.startswith("heart.tsv: has a name x"[: 22 + min(length, 1)])
    assert shown.endswith("; rename it")
    assert len(shown) < 2100
    if "characters left out" in shown:
        rest = shown.rpartition(" … (")[2]
        assert int(rest.split()[0].replace(",", "")) == length + 33 - 2000


def test_a_missing_module_of_vecsetx_is_a_fault_of_the_program() -> None:
    for name in ("vecsetx", "vecsetx.gone", None):
        assert missing_module(ModuleNotFoundError("no module", name=name)) == ""
    said = missing_module(ModuleNotFoundError("no module", name="vtkmodules.util"))
    assert said.startswith("the Python module vtkmodules is missing; ")
