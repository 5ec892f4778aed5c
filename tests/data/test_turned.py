"""Prepared hearts that lie differently: one is chosen, and all others are turned as it lies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.frame import UPRIGHT
from vecsetx.data.batches import TrainingBatches
from vecsetx.data.dataset import DataSet
from vecsetx.data.draw import BatchSpec
from vecsetx.data.turned import choose_reference, rotations_onto
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.sampling.samples import Samples, SamplesFile, write_samples

SPEC = BatchSpec(hearts=1, points=200, surface=50, near=60, volume=60)
TURNS = Rotation.random(4, random_state=3)


def turned_by(samples: Samples, turn: Rotation) -> Samples:
    """The heart in another pose, with the same distances."""

    def about_scanner(vectors: np.ndarray) -> np.ndarray:
        return turn.apply(vectors).astype(np.float32)

    surface, near, volume = samples.surface, samples.near, samples.volume
    surface = replace(
        surface,
        points_mm=about_scanner(surface.points_mm),
        normals=about_scanner(surface.normals),
    )
    near, volume = (
        replace(each, points_mm=about_scanner(each.points_mm)) for each in (near, volume)
    )
    center = turn.apply(samples.info.frame.center_mm).tolist()
    frame = replace(samples.info.frame, center_mm=tuple(center))
    return Samples(surface, near, volume, replace(samples.info, frame=frame))


@pytest.fixture(scope="module")
def turned(dataset: DataSet, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """The shared hearts, each in a pose of its own."""
    folder = tmp_path_factory.mktemp("turned")
    for heart, turn in zip(dataset.hearts, TURNS, strict=True):
        write_samples(turned_by(dataset.open(heart).read(), turn), folder / heart.file)
    return replace(dataset, folder=folder)


def files_of(dataset: DataSet) -> list[SamplesFile]:
    return [dataset.open(heart) for heart in dataset.hearts]


def angle_deg(one, other) -> float:
    return float(
        np.degrees((Rotation.from_matrix(one) * Rotation.from_matrix(other).inv()).magnitude())
    )


def test_the_same_heart_is_chosen_and_the_rotations_undo_the_poses(
    dataset: DataSet, turned: DataSet
) -> None:
    upright = choose_reference(dataset, dataset.hearts)
    assert upright
    by_upright = rotations_onto(upright, files_of(dataset))
    for found, wanted, turn in zip(
        rotations_onto(upright, files_of(turned)), by_upright, TURNS, strict=True
    ):
        assert angle_deg(found, np.array(wanted) @ turn.inv().as_matrix()) < 1e-3
    chosen = choose_reference(turned, turned.hearts)
    assert chosen
    # The same heart in the pose that it has now; itself, it is not turned.
    angles = [
        min(angle_deg(found, UPRIGHT) for found in rotations_onto(one, files_of(hearts)))
        for one, hearts in ((upright, dataset), (chosen, turned))
    ]
    assert max(angles) < 1  # the reference has a part of the heart's points
    for name, points_mm in upright.points_mm.items():
        turns = [
            turn
            for turn in TURNS
            if np.allclose(turn.apply(points_mm), chosen.points_mm[name], rtol=0, atol=1e-2)
        ]
        assert len(turns) == 1


def test_batches_of_turned_hearts_are_those_of_upright_ones(
    dataset: DataSet, turned: DataSet
) -> None:
    reference = choose_reference(dataset, dataset.hearts)
    wanted, found, as_they_lie = (
        TrainingBatches(data, data.hearts, SPEC, None, 5, reference=heart)
        for data, heart in ((dataset, reference), (turned, reference), (turned, None))
    )
    assert as_they_lie.rotations == 4 * [UPRIGHT]
    for number in range(4):
        one, other, lies = (each.batch(number) for each in (wanted, found, as_they_lie))
        for name in ("points", "normals"):
            drawn, same, turned_away = (
                getattr(batch, name).numpy() for batch in (one, other, lies)
            )
            np.testing.assert_allclose(drawn, same, atol=1e-3)
            assert np.abs(drawn - turned_away).max() > 0.2
        for group, queries in one.queries.items():
            same = other.queries[group]
            np.testing.assert_allclose(queries.points, same.points, atol=1e-3)
            np.testing.assert_array_equal(queries.distances, same.distances)


def test_hearts_whose_chambers_fix_no_pose_give_no_reference(
    dataset: DataSet, tmp_path: Path
) -> None:
    heart = dataset.hearts[0]
    samples = dataset.open(heart).read()
    cut = ("Myocardium", "LA", "RA")  # LV and RV are left
    write_samples(replace(samples, info=replace(samples.info, cut=cut)), tmp_path / heart.file)
    assert choose_reference(replace(dataset, folder=tmp_path), [heart]) is None
    assert choose_reference(dataset, [heart])


def test_damaged_hearts_and_strangers_are_not_turned(
    turned: DataSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reference = choose_reference(turned, turned.hearts)
    assert reference
    heart = turned.hearts[0]
    samples = turned.open(heart).read()
    broken = replace(samples.surface, points_mm=samples.surface.points_mm * np.float32(np.nan))
    write_samples(replace(samples, surface=broken), tmp_path / heart.file)
    file = SamplesFile(tmp_path / heart.file)
    assert rotations_onto(reference, [file]) == [UPRIGHT]  # whoever draws from it says so
    (tmp_path / heart.file).unlink()
    assert rotations_onto(reference, [file]) == [UPRIGHT]
    assert caplog.messages == []
    stranger = ReferenceHeart({"IVC": reference.points_mm["LV"]})
    assert rotations_onto(stranger, [turned.open(heart)]) == [UPRIGHT]
    assert f"{heart.name}: shows no structure of the reference heart" in caplog.text
