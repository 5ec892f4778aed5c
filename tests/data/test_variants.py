"""Variants in a data set: sampled, drawn in training alone, and of no other heart."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.shared import made_once

from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.data.variants import VariantTask, write_variants
from vecsetx.errors import InputError
from vecsetx.sampling.samples import write_samples
from vecsetx.variation.segmented import SegmentedSpec
from vecsetx.variation.variant import VariationSpec

SPEC = BatchSpec(hearts=1, points=200, surface=50, near=60, volume=60)
POOR = VariationSpec(segmented=SegmentedSpec(exact=0.0, fine_mm=2.4, coarse_mm=3.0))
AS_IT_IS = VariationSpec(segmented=SegmentedSpec(exact=1.0))


def varied(dataset: DataSet, folder: Path, spec: VariationSpec, count: int) -> DataSet:
    """A copy of a data set with variants of its first heart."""
    shutil.copytree(dataset.folder, folder)
    own = replace(dataset, folder=folder)
    write_variants(VariantTask(own, own.hearts[0], count, 5, spec))
    first = replace(own.hearts[0], variants=count)
    return replace(own, hearts=(first, *own.hearts[1:]))


@pytest.fixture(scope="module")
def poor(dataset: DataSet) -> DataSet:
    """The shared hearts, and two variants of one, as poorer segmentations show them."""

    def make(folder: Path) -> None:
        varied(dataset, folder / "data", POOR, 2).write()

    return DataSet.read(made_once("variants", make) / "data")


def test_a_variant_is_another_heart_of_the_same_patient(poor: DataSet) -> None:
    heart = poor.hearts[0]
    assert [each.variants for each in poor.hearts] == [2, 0, 0, 0]
    own, one, other = (file.read() for file in (poor.open(heart), *poor.open_variants(heart)))
    assert {one.info.sha256, other.info.sha256} == {own.info.sha256}
    assert len({own.info.content, one.info.content, other.info.content}) == 3
    assert [one.info.name, other.info.name] == [f"{heart.name}-1", f"{heart.name}-2"]
    volumes = [sum(samples.info.volumes_ml.values()) for samples in (own, one, other)]
    assert len({round(ml, 3) for ml in volumes}) == 3
    for samples in (one, other):
        assert len(samples.near.points_mm) == len(own.near.points_mm)
        assert samples.info.options["variation"]["warp_mm"] == POOR.warp_mm


def test_distances_are_those_of_the_variant_and_not_of_what_is_shown(
    poor: DataSet, dataset: DataSet, tmp_path: Path
) -> None:
    exact = varied(dataset, tmp_path / "data", AS_IT_IS, 1)
    for data, low, high in ((poor, 0.1, 4.0), (exact, 0.0, 0.0)):
        samples = data.open_variants(data.hearts[0])[0].read()
        surface = samples.surface
        own = surface.distances_mm[np.arange(len(surface.structure)), surface.structure]
        assert low <= np.abs(own).mean() <= high
        # Surfaces of the same place: the shown one wavers about the variant's.
        assert np.abs(own).max() <= 16


def test_a_variant_is_made_once_unless_something_changed(
    dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = varied(dataset, tmp_path / "data", AS_IT_IS, 1)
    task = VariantTask(own, own.hearts[0], 1, 5, AS_IT_IS)
    path = own.folder / own.hearts[0].variant_file(1)
    content = path.read_bytes()
    assert write_variants(task) == 0
    path.write_bytes(content[:1000])
    assert write_variants(task) == 1
    assert path.read_bytes() == content
    assert write_variants(replace(task, seed=6)) == 1
    assert path.read_bytes() != content
    assert write_variants(task) == 1
    assert path.read_bytes() == content


def test_training_draws_a_heart_and_its_variants_equally_often(poor: DataSet) -> None:
    drawn = Counter()
    batches = TrainingBatches(poor, poor.hearts[:1], SPEC, None, 1)
    own = [file.read().near.distances_mm for file in (poor.open(poor.hearts[0]),)]
    own += [file.read().near.distances_mm for file in poor.open_variants(poor.hearts[0])]
    mm_per_unit = poor.open(poor.hearts[0]).info.frame.mm_per_unit
    for number in range(60):
        near = batches.batch(number).queries["near"].distances[0].numpy() * mm_per_unit
        found = [
            version
            for version, distances in enumerate(own)
            if near.shape[1] == distances.shape[1]
            and np.isclose(distances[:, None], near[None, :3], atol=1e-3).all(2).any(0).all()
        ]
        drawn[found[0]] += 1
    assert sorted(drawn) == [0, 1, 2]
    assert min(drawn.values()) >= 10  # 20 expected; below 10 once in 1000 seeds


def test_without_variants_the_batches_are_as_before(poor: DataSet, dataset: DataSet) -> None:
    hidden = TrainingBatches(poor, poor.hearts, replace(SPEC, variants=False), None, 1)
    before = TrainingBatches(dataset, dataset.hearts, SPEC, None, 1)
    with_them = TrainingBatches(poor, poor.hearts, SPEC, None, 1)
    others = 0
    for number in range(12):
        one, two, three = (each.batch(number) for each in (hidden, before, with_them))
        np.testing.assert_array_equal(one.points.numpy(), two.points.numpy())
        others += not np.array_equal(one.points.numpy(), three.points.numpy())
    assert 0 < others < 6  # of three draws of the heart that has variants


def test_variants_of_another_heart_are_refused(poor: DataSet, tmp_path: Path) -> None:
    shutil.copytree(poor.folder, tmp_path / "data")
    own = replace(poor, folder=tmp_path / "data")
    heart = own.hearts[0]
    file = own.open_variants(heart)[0]
    samples = file.read()
    write_samples(replace(samples, info=replace(samples.info, sha256="0" * 64)), file.path)
    with pytest.raises(InputError, match=r"-1\.safetensors: is a variant of another heart than"):
        TrainingBatches(own, own.hearts, SPEC, None, 1)
    file.path.unlink()
    with pytest.raises(InputError, match=r"-1\.safetensors: cannot be read: No such file"):
        TrainingBatches(own, own.hearts, SPEC, None, 1)


def test_a_source_that_has_changed_gives_no_variant(dataset: DataSet, tmp_path: Path) -> None:
    own = replace(dataset, folder=tmp_path / "data")
    shutil.copytree(dataset.folder, own.folder)
    heart, samples = replace(dataset.hearts[0], sha256="0" * 64), own.open(own.hearts[0]).read()
    was = replace(samples, info=replace(samples.info, sha256=heart.sha256))
    write_samples(was, own.folder / heart.file)
    with pytest.raises(InputError, match=r"has changed since heart .* was prepared .*00000000"):
        write_variants(VariantTask(own, heart, 1, 0, AS_IT_IS))
    assert not (own.folder / "variants").exists()
