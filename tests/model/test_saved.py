import re
import socket
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from support.descriptions import rewritten
from support.small_files import files_of_at_most
from typer.testing import CliRunner

from vecsetx import cli
from vecsetx.anatomy.frame import Frame
from vecsetx.anatomy.label_sets import label_set
from vecsetx.errors import InputError
from vecsetx.model import heart_field
from vecsetx.model.saved import TrainedModel, read_structures
from vecsetx.model.vecset import ModelSpec
from vecsetx.model.weights import weights_sha256
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.quality.cohort import Usual
from vecsetx.sampling.quality.usual_heart import UsualHeart, UsualStructure

SMALL = ModelSpec(latents=16, width=32, heads=4, layers=2, latent_channels=8)
CHOICES = {
    "queries": ("anchored", "point", "learnable"),
    "bottleneck": ("normalized", "kl", "none"),
    "field": ("distances", "union"),
    "normals": (False, True),
}
FORMS = [dict(zip(CHOICES, chosen, strict=True)) for chosen in product(*CHOICES.values())]
NAMES = ("LV", "RV", "LA")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model(spec: ModelSpec = SMALL) -> TrainedModel:
    torch.manual_seed(0)
    network = spec.build(len(NAMES)).eval()
    with torch.no_grad():  # fresh weights hold zeros and ones, which a swap would not show
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return TrainedModel(network, NAMES, label_set("default"), 80.0, 0.1, 64, {"hearts": ["a"]})


def observation() -> Observation:
    draw = np.random.default_rng(0)
    normals = draw.normal(size=(64, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points_mm = draw.uniform(-50, 50, (64, 3)).astype(np.float32)
    return Observation(points_mm, draw.integers(0, 3, 64), normals, Frame((1.0, 2.0, 3.0), 80.0))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
def test_saved_and_loaded_gives_the_same_output_bit_for_bit(
    form: dict[str, Any], tmp_path: Path
) -> None:
    trained = model(replace(SMALL, **form))
    trained.save_pretrained(tmp_path / "run" / "model")
    again = TrainedModel.from_pretrained(str(tmp_path / "run"))
    points_mm = np.random.default_rng(1).uniform(-60, 60, (200, 3))
    before, after = (m.encode(observation()).distances_mm(points_mm) for m in (trained, again))
    np.testing.assert_array_equal(before, after)
    assert np.ptp(before) > 0
    assert not any(module.training for module in again.network.modules())
    assert replace(again, network=trained.network) == trained
    assert again.network.spec == trained.network.spec
    assert read_structures(tmp_path / "run" / "model") == NAMES
    files = {file.name for file in (tmp_path / "run").rglob("*") if file.is_file()}
    assert files == {"model.json", "model.safetensors"}


def test_a_field_is_queried_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = model()
    heart = trained.encode(observation(), latents=9)
    assert heart.latent_set.latents.shape == (1, 9, 8)
    points_mm = np.random.default_rng(1).uniform(-60, 60, (50, 3))
    together = heart.distances_mm(points_mm)
    asked = []
    query = trained.network.query
    monkeypatch.setattr(
        trained.network, "query", lambda *a: asked.append(a[2].shape[1]) or query(*a)
    )
    monkeypatch.setattr(heart_field, "_CHUNK_POINTS", 16)
    np.testing.assert_allclose(heart.distances_mm(points_mm), together, atol=1e-4)
    assert asked == [16, 16, 16, 2]


def test_what_a_model_cannot_be_shown_is_refused() -> None:
    learned = model(replace(SMALL, queries="learnable"))
    assert learned.encode(observation(), SMALL.latents).tokens.shape[1] == SMALL.latents
    with pytest.raises(InputError, match="queries are learned"):
        learned.encode(observation(), SMALL.latents + 1)


def test_points_without_normals_are_encoded_too() -> None:
    shown = observation()
    without = replace(shown, normals=None)
    reads, does_not = (model(replace(SMALL, normals=normals)) for normals in (True, False))
    assert not torch.equal(reads.encode(shown).tokens, reads.encode(without).tokens)
    assert torch.equal(does_not.encode(shown).tokens, does_not.encode(without).tokens)


def test_damaged_models_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no trained model \(no model.json\); run vecsetx train"):
        TrainedModel.from_pretrained(tmp_path)
    (tmp_path / "dataset.json").touch()
    with pytest.raises(InputError, match="is a prepared data set, not a model, which comes first"):
        TrainedModel.from_pretrained(tmp_path)
    model().save_pretrained(tmp_path)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="damaged model"):
        TrainedModel.from_pretrained(tmp_path)
    model(replace(SMALL, width=64)).save_pretrained(tmp_path / "other")
    (tmp_path / "model.safetensors").write_bytes(
        (tmp_path / "other" / "model.safetensors").read_bytes()
    )
    with pytest.raises(InputError, match=r"damaged model: .* has the shape"):
        TrainedModel.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="damaged model"):
        TrainedModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": 1}, "schema 1, this version reads 2"),
        ({"schema": None}, "schema None, this version reads 2"),
        ({"colour": "red"}, "damaged model: colour"),
        ({"model": {"widht": 32}}, "damaged model: model.widht"),
        ({"model": {"width": 30}}, "damaged model: model: .*not a multiple of heads"),
        ({"points": "many"}, "damaged model: points"),
        ({"structures": "LV"}, "damaged model: structures"),
        ({"label_set": {"ids": {"1": "Spleen"}}}, "model.json: .*Spleen"),
    ],
)
def test_descriptions_of_another_kind_are_refused(
    change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    model().save_pretrained(tmp_path)
    with rewritten(tmp_path / "model.json") as content:
        content.update(change)
    with pytest.raises(InputError, match=complaint):
        TrainedModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema": 2}', "\0"])
def test_descriptions_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    model().save_pretrained(tmp_path)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "model.json"))):
        TrainedModel.from_pretrained(tmp_path)


def test_a_failed_save_leaves_the_earlier_model(tmp_path: Path) -> None:
    model().save_pretrained(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    with files_of_at_most(2_000), pytest.raises(OSError, match="File too large"):
        model(replace(SMALL, layers=1)).save_pretrained(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """The Hub's downloads on this machine, in its layout: ``owner/name`` at one commit."""
    repository = tmp_path / "downloads" / "models--owner--name"
    model().save_pretrained(repository / "snapshots" / COMMIT)
    for name in ("main", "v1"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(COMMIT)
    return repository.parent


def test_a_model_of_the_hub_is_found_offline(downloads: Path) -> None:
    options = {"cache_dir": downloads, "local_files_only": True}
    again = TrainedModel.from_pretrained("owner/name", revision="v1", **options)
    expected = model()
    assert replace(again, network=expected.network) == expected
    for name, weight in expected.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], weight)
    for missing in ({"model": "owner/other"}, {"model": "owner/name", "revision": "v2"}):
        with pytest.raises(InputError, match="no such folder, and no such model on the Hugging"):
            TrainedModel.from_pretrained(**missing, **options)
    with pytest.raises(InputError, match="no such folder, and no such model on the Hugging"):
        TrainedModel.from_pretrained("owner/two--dashes", **options)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["name", "a/b/c", "../name", "/owner/name", "owner/na me"])
def test_other_words_never_reach_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such folder; check the path"):
        TrainedModel.from_pretrained(name)


def test_a_calibration_goes_where_its_model_goes(tmp_path: Path) -> None:
    """Whatever it says: only those who need it judge it."""
    model().save_pretrained(tmp_path / "a")
    assert TrainedModel.from_pretrained(tmp_path / "a").calibration is None
    for text in ('{"factor": 1.5}\n', "{ damaged"):
        (tmp_path / "a" / "calibration.json").write_text(text)
        TrainedModel.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
        assert (tmp_path / "b" / "calibration.json").read_text() == text
        assert TrainedModel.from_pretrained(tmp_path / "b").calibration == text


@pytest.mark.usefixtures("no_network")
def test_a_folder_goes_before_a_repository_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model().save_pretrained("owner/name")
    assert TrainedModel.from_pretrained("owner/name").structures == NAMES


def test_the_hub_is_asked_for_the_model_s_files(
    downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.update(options, repository=repository)
        return str(downloads / "models--owner--name" / "snapshots" / COMMIT)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    TrainedModel.from_pretrained("owner/name", revision="v1", token="secret")
    assert asked == {
        "repository": "owner/name",
        "revision": "v1",
        "token": "secret",
        "cache_dir": None,
        "local_files_only": False,
        "allow_patterns": [
            "model.safetensors",
            "model.json",
            "pose.safetensors",
            "calibration.json",
        ],
    }


@pytest.mark.usefixtures("no_network")
def test_a_model_is_pushed_as_it_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    uploaded = {}

    def create_repo(hub: huggingface_hub.HfApi, repo_id: str, **options: Any) -> None:
        calls.append(("create", {"repo_id": repo_id, "token": hub.token, **options}))

    def upload_folder(hub: huggingface_hub.HfApi, *, folder_path: str, **options: Any) -> str:
        uploaded.update({file.name: file.read_bytes() for file in Path(folder_path).iterdir()})
        calls.append(("upload", {"token": hub.token, **options}))
        return "address"

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    trained = replace(model(), calibration='{"factor": 1}\n')
    assert trained.push_to_hub("owner/name", branch="draft", token="secret") == "address"
    target = {"repo_id": "owner/name", "token": "secret"}
    assert calls == [
        ("create", {**target, "private": True, "exist_ok": True}),
        ("upload", {**target, "revision": "draft", "commit_message": "Upload the model"}),
    ]
    trained.save_pretrained(tmp_path)
    assert set(uploaded) == {"model.safetensors", "model.json", "calibration.json"}
    assert uploaded == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_the_command_line_takes_a_repository(
    downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = downloads / "models--owner--name" / "snapshots" / COMMIT
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    given = []
    monkeypatch.setattr(
        "vecsetx.commands.reconstruct.reconstruct", lambda model, *_: given.append(model) or {}
    )
    words = ["heart.nii.gz", "--out", str(tmp_path)]
    for word, folder in (("owner/name", snapshot), (str(downloads), downloads)):
        hide = ["--hide", "LV"] if folder == snapshot else []
        words_of_one = ["reconstruct", *words, "--model", word, *hide]
        CliRunner().invoke(cli.app, words_of_one, catch_exceptions=False)
    assert given == [snapshot, downloads]


@pytest.mark.usefixtures("no_network")
def test_the_command_line_names_a_missing_folder(tmp_path: Path) -> None:
    words = [
        *("reconstruct", "heart.nii.gz", "--model", str(tmp_path / "none")),
        *("--out", str(tmp_path)),
    ]
    with pytest.raises(InputError, match="none: no such folder; check the path of the model"):
        CliRunner().invoke(cli.app, words, catch_exceptions=False)


def usual() -> UsualHeart:
    found = Usual(51.2, 0.17, 9)
    return UsualHeart(9, {"LV": UsualStructure(9, 0.0, found, 1, {"RV": Usual(20.5, 0.06, 8)})})


def test_what_is_usual_travels_with_the_model(tmp_path: Path) -> None:
    for partial in (True, False):
        replace(model(), usual=usual(), partial=partial).save_pretrained(tmp_path)
        loaded = TrainedModel.from_pretrained(tmp_path)
        assert (loaded.usual, loaded.partial) == (usual(), partial)
    # A model of an earlier version says neither what is usual nor whether hearts were partial.
    with rewritten(tmp_path / "model.json") as content:
        del content["usual"], content["partial"]
    loaded = TrainedModel.from_pretrained(tmp_path)
    assert (loaded.usual, loaded.partial) == (None, None)
    with rewritten(tmp_path / "model.json") as content:
        content["partial"] = "some"
    with pytest.raises(InputError, match="damaged model: partial"):
        TrainedModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("median", float("inf")),
        ("median", float("nan")),
        ("median", 0),
        ("median", "1e999"),
        ("spread", 1e6),
        ("spread", -0.1),
        ("hearts", 0),
        ("more", 1),
    ],
)
def test_what_cannot_be_usual_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    replace(model(), usual=usual()).save_pretrained(tmp_path)
    with rewritten(tmp_path / "model.json") as content:
        content["usual"]["structures"]["LV"]["distances"]["RV"][key] = value
    with pytest.raises(InputError, match=rf"damaged model: usual.*\.RV\.{key}"):
        TrainedModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["PA", "../x"])
def test_only_the_model_s_structures_are_usual(name: str, tmp_path: Path) -> None:
    of_lv = usual().structures["LV"]
    others = {
        "as a structure": {name: of_lv},
        "as another's neighbour": {"LV": replace(of_lv, distances={name: Usual(1.0, 1.0, 8)})},
    }
    for structures in others.values():
        replace(model(), usual=UsualHeart(9, structures)).save_pretrained(tmp_path)
        with pytest.raises(InputError, match=re.escape(f"no structures ['{name}']")):
            TrainedModel.from_pretrained(tmp_path)


def test_half_of_the_size_is_a_model_of_rounded_weights(tmp_path: Path) -> None:
    whole = model()
    whole.save_pretrained(tmp_path / "whole")
    whole.save_pretrained(tmp_path / "half", half=True)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    found = TrainedModel.from_pretrained(tmp_path / "half")
    for name, weight in whole.network.state_dict().items():
        loaded = found.network.state_dict()[name]
        assert loaded.dtype == torch.float32
        torch.testing.assert_close(loaded, weight.half().float(), rtol=0, atol=0)
    # Saved again, it stays what it is, in both precisions.
    for half in (True, False):
        found.save_pretrained(tmp_path / "again", half=half)
        again = TrainedModel.from_pretrained(tmp_path / "again")
        assert weights_sha256(again.network) == weights_sha256(found.network)
    assert weights_sha256(found.network) != weights_sha256(whole.network)
