"""Prepared hearts as an input of reconstruction: what is shown, and what is refined on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.runs import RECIPE

from vecsetx.anatomy.frame import Frame
from vecsetx.commands.export import export
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.data.dataset import DataSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.errors import InputError
from vecsetx.inference.encode import EncodeOptions, encode_source
from vecsetx.inference.observed import of_samples
from vecsetx.inference.posing import rotation_of
from vecsetx.model.saved import TrainedModel
from vecsetx.sampling.observation import Observation

SHOWN = 300


@pytest.fixture(scope="module")
def run(trained_run: Path) -> Path:
    return trained_run


@pytest.fixture(scope="module")
def trained(run: Path) -> TrainedModel:
    return TrainedModel.from_pretrained(run)


def source_at(path: Path, trained: TrainedModel):
    return next(iter(find_hearts([path], trained.label_set).values()))


def test_the_first_surface_points_are_shown(dataset: DataSet, trained: TrainedModel) -> None:
    heart = dataset.hearts[0]
    source = source_at(dataset.folder / heart.file, trained)
    assert (source.kind, source.name) == ("samples", heart.name)
    found = encode_source(source, trained, EncodeOptions(points=SHOWN, refine=0))
    surface = dataset.open(heart).read().surface
    upright = Observation(
        surface.points_mm[:SHOWN],
        surface.structure[:SHOWN].astype(np.int64),
        surface.normals[:SHOWN],
        Frame.around(surface.points_mm, trained.mm_per_unit),
    )
    rotation = rotation_of(upright, trained, 0)
    frame = Frame.around(surface.points_mm, trained.mm_per_unit, rotation)
    by_hand = replace(upright, frame=frame)
    expected = trained.encode(by_hand, 2 * RECIPE.model.latents)
    places_mm = surface.points_mm[:50]
    assert np.array_equal(found.field.distances_mm(places_mm), expected.distances_mm(places_mm))
    assert found.label_map is None
    assert found.visibility.present.all()


def test_the_exported_npz_is_the_same_heart(
    dataset: DataSet, trained: TrainedModel, tmp_path: Path
) -> None:
    assert not export(dataset.folder, tmp_path)
    heart = dataset.hearts[0]
    files = (dataset.folder / heart.file, tmp_path / f"{heart.name}.npz")
    places_mm = dataset.open(heart).read().near.points_mm[:50]
    one, other = (
        encode_source(source_at(file, trained), trained, EncodeOptions()).field.distances_mm(
            places_mm
        )
        for file in files
    )
    assert np.array_equal(one, other)


def test_hidden_structures_are_neither_shown_nor_refined_on(
    dataset: DataSet, trained: TrainedModel
) -> None:
    structures = dataset.structures
    hide = ("LV", "PV")
    hidden = [structures.index(name) for name in hide]
    source = source_at(dataset.folder / dataset.hearts[0].file, trained)
    found = encode_source(source, trained, EncodeOptions(hide=hide, refine=3))
    assert set(found.shown.structure.tolist()) == set(range(len(structures))) - set(hidden)
    assert found.field.refinement is not None
    assert found.field.refinement.loss_after <= found.field.refinement.loss_before
    samples = source.read(trained.structures)
    batch = of_samples(samples, structures, hide, found.field.frame)
    others = [k for k in range(len(structures)) if k not in hidden]
    scale = trained.mm_per_unit
    for group in ("near", "volume"):
        known = batch.queries[group].known[0]
        assert (known[:, hidden] == -np.inf).all()
        assert (known[:, others] * scale).numpy() == pytest.approx(
            samples.info.known_mm(getattr(samples, group).edge_mm)[:, others]
        )
        true_mm = getattr(samples, group).distances_mm[:, others]
        assert np.allclose(batch.queries[group].distances[0, :, others] * scale, true_mm)
    assert not np.isin(batch.surface.structure[0].numpy(), hidden).any()
    assert np.allclose(
        found.field.frame.to_mm(batch.near.points[0].numpy()), samples.near.points_mm, atol=1e-3
    )


def test_a_model_of_fewer_structures_is_shown_what_it_knows(
    dataset: DataSet, trained: TrainedModel
) -> None:
    source = source_at(dataset.folder / dataset.hearts[0].file, trained)
    samples = source.read(trained.structures)
    known = ("RV", "LA")
    batch = of_samples(samples, known, (), samples.info.frame)
    own = [dataset.structures.index(name) for name in known]
    assert np.allclose(
        batch.near.distances[0] * trained.mm_per_unit, samples.near.distances_mm[:, own]
    )
    rows = np.isin(samples.surface.structure, own)
    assert batch.surface.count == rows.sum()
    expected = [own.index(k) for k in samples.surface.structure[rows].tolist()]
    assert batch.surface.structure[0].tolist() == expected


def test_reconstructing_from_samples(dataset: DataSet, run: Path, tmp_path: Path) -> None:
    given = [dataset.folder / dataset.hearts[0].file]
    assert reconstruct(run, given, tmp_path / "out", ReconstructOptions(resolution=32)) == {}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["structures"]["LV"]["volume_ml"] > 1  # after sixty steps
    assert (tmp_path / "out" / "LV.vtp").exists()
    with pytest.raises(InputError, match="leave --keep-observed out"):
        reconstruct(run, given, tmp_path / "kept", ReconstructOptions(keep_observed=True))
    everything = EncodeOptions(hide=dataset.structures)
    with pytest.raises(InputError, match="nothing is left to show"):
        reconstruct(run, given, tmp_path / "none", ReconstructOptions(encode=everything))
