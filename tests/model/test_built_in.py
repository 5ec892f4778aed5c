"""The model that comes with the package."""

import shutil
from pathlib import Path

import pytest

import vecsetx
from vecsetx.errors import InputError
from vecsetx.inference.sd_factor import sd_factor_of
from vecsetx.model import built_in
from vecsetx.model.saved import TrainedModel, model_folder, read_spec
from vecsetx.model.weights import weights_sha256


@pytest.fixture
def folder(trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the built-in model, which holds that of a small run."""
    installed = shutil.copytree(trained_run / "model", tmp_path / "built_in")
    monkeypatch.setattr(built_in, "_FOLDER", installed)
    return installed


def test_it_lies_within_the_package() -> None:
    assert Path(vecsetx.__file__).parent / "built_in" == built_in._FOLDER


def test_it_is_calibrated_with_the_weights_that_it_has() -> None:
    model = built_in.built_in_model()
    factor = sd_factor_of(model, TrainedModel.from_pretrained(model), None)
    assert factor is not None
    assert 1 < factor.factor < 10
    assert not factor.few


def test_load_without_a_name_loads_it(folder: Path, trained_run: Path) -> None:
    expected = weights_sha256(TrainedModel.from_pretrained(trained_run).network)
    assert weights_sha256(vecsetx.load().network) == expected
    (folder / "model.json").write_text("{")
    with pytest.raises(InputError, match=r"built_in/model\.json: "):
        vecsetx.load()
    assert weights_sha256(vecsetx.load(trained_run).network) == expected


def test_its_name_stands_for_it_wherever_a_model_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder("built-in") == folder
    assert read_spec("built-in") == TrainedModel.from_pretrained(folder).network.spec
    # A folder of that name comes first, as with repositories.
    shutil.copytree(folder, tmp_path / "built-in")
    assert model_folder("built-in") == Path("built-in")


@pytest.mark.parametrize("missing", ["model.json", "model.safetensors"])
def test_an_installation_without_it_says_what_to_do(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InputError) as refused:
        vecsetx.load()
    assert str(refused.value) == (
        f"{folder}: this installation lacks {missing} of the built-in model; install VecSetX "
        "again, or name another model by --model"
    )


def test_results_name_it_wherever_it_lies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(folder)
    for path in (folder, Path("built_in"), Path("link")):
        assert built_in.is_built_in(path)
        assert built_in.recorded_name(path) == "built-in"
    for path in (tmp_path, Path("built-in"), folder / "model"):
        assert not built_in.is_built_in(path)
        assert built_in.recorded_name(path) == str(path.resolve())
