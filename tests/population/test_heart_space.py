"""Hearts of a shape space, by the Python API."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.shape_space import fitted_space

import vecsetx
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.inference.heart import MeshOptions
from vecsetx.model.saved import TrainedModel
from vecsetx.population.carried_surfaces import carried_surfaces
from vecsetx.population.heart_space import HeartSpace


@pytest.fixture(scope="module")
def space(dataset: DataSet) -> HeartSpace:
    return vecsetx.load_shape_space(fitted_space(dataset))


def patient(dataset: DataSet) -> Path:
    """The label map of a heart that was fitted."""
    return Path(dataset.open_file(dataset.of_split("train")[0].file).info.source)


def test_the_mean_heart_has_every_structure_and_lies_around_the_origin(space: HeartSpace) -> None:
    found = vecsetx.surfaces(space.mean(), 48)
    assert set(found) >= {"LV", "RV", "LA", "RA", "Myocardium", "Aorta"}
    vertices = np.concatenate([surface.vertices_mm for surface in found.values()])
    assert np.abs(vertices.mean(axis=0)).max() < 25
    assert not any(surface.observed.any() for surface in found.values())


def test_a_heart_is_not_doubted_for_structures_that_its_space_lacks(space: HeartSpace) -> None:
    names = tuple(name for name in space.saved.structures if name != "PV")
    fewer = HeartSpace(replace(space.saved, structures=names), space.trained)
    heart = fewer.mean()
    assert "PV" not in vecsetx.surfaces(heart, 40)
    assert vecsetx.doubtful(heart, 40).keys() == set(names)


def test_fewer_coordinates_are_those_of_the_first_modes(space: HeartSpace) -> None:
    assert len(space.saved.space.sd) == 2
    for given, whole in ([], [0.0, 0.0]), ([1.5], [1.5, 0.0]):
        one, other = space.at(np.array(given)), space.at(np.array(whole))
        np.testing.assert_array_equal(one.table.positions, other.table.positions)
    with pytest.raises(InputError, match="3 coordinates: the space has 2 modes"):
        space.at(np.zeros(3))
    with pytest.raises(InputError, match="finite"):
        space.at(np.array([np.nan]))


def test_the_same_generator_draws_the_same_hearts(space: HeartSpace) -> None:
    first, again = (space.sample(3, np.random.default_rng(5)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.table.latents, other.table.latents)
    assert len({heart.table.positions.tobytes() for heart in first}) == 3
    with pytest.raises(InputError, match="span"):
        space.sample(1, np.random.default_rng(0), {"LV": 5000.0})
    with pytest.raises(InputError, match="span"):
        space.sample(1, np.random.default_rng(0), {"LV": (1.0, 5000.0)})


def test_the_way_from_heart_to_heart_is_straight(space: HeartSpace) -> None:
    a, b = space.at(np.array([1.0, 0.5])), space.at(np.array([-1.0, 0.0]))
    for t, wanted in ((0.0, a), (1.0, b), (0.5, space.at(np.array([0.0, 0.25])))):
        found = space.interpolate(a, b, t)
        np.testing.assert_allclose(found.table.positions, wanted.table.positions, atol=1e-5)
        np.testing.assert_allclose(found.table.latents, wanted.table.latents, atol=1e-4)


def test_a_patients_heart_becomes_one_of_the_space_where_it_lies(
    space: HeartSpace, dataset: DataSet
) -> None:
    """A heart that was fitted is given back, in the place and pose of its file."""
    heart = vecsetx.encode(space.trained, patient(dataset), refine=0)
    point_mm = {name: surface.centroid_mm for name, surface in vecsetx.surfaces(heart, 40).items()}
    for made in (space.project(heart), space.interpolate(heart, space.mean(), 0.0)):
        found = vecsetx.surfaces(made, 40)
        for name in ("LV", "RV", "LA", "RA"):
            away_mm = np.linalg.norm(found[name].centroid_mm - point_mm[name])
            assert away_mm < 12, name
    placed = space.place(heart)
    assert len(placed.coordinates) == 2
    assert placed.nearest_mm == tuple(sorted(placed.nearest_mm))
    assert 0 < placed.residual_mm < 10
    assert 0 <= placed.distance_percentile <= 100
    with pytest.raises(InputError, match="made from the space"):
        space.place(space.mean())


def test_hearts_and_spaces_of_another_model_are_refused(
    space: HeartSpace, dataset: DataSet, trained_run: Path
) -> None:
    other = TrainedModel.from_pretrained(trained_run)
    with pytest.raises(InputError, match=r"s: was fitted with another model \(built-in\)"):
        vecsetx.load_shape_space(fitted_space(dataset), other)
    heart = vecsetx.encode(other, patient(dataset), refine=0)
    with pytest.raises(InputError, match="encoded by another model"):
        space.project(heart)


def test_vertices_are_carried_onto_the_surfaces_of_other_hearts(space: HeartSpace) -> None:
    mean, trained = space.mean(), space.trained
    surfaces = mean.meshes(MeshOptions(64, kind="closed", faces=6000)).surfaces
    for coordinates, most_mm in ([0.0, 0.0], 0.15), ([2.0, -1.0], 0.5):
        heart = space.at(np.array(coordinates))
        ends = mean.anchors_mm, heart.anchors_mm, space.saved.cohort.structure
        carried = carried_surfaces(surfaces, *ends, heart)
        for name in ("LV", "RV", "LA", "RA", "Myocardium"):
            k = trained.structures.index(name)
            away_mm = heart.distances_mm(carried[name].astype(np.float64))[:, k]
            assert np.abs(away_mm).mean() < most_mm, name
            assert carried[name].shape == surfaces[name].vertices_mm.shape
    ends = mean.anchors_mm, mean.anchors_mm, space.saved.cohort.structure
    own = carried_surfaces(surfaces, *ends, mean)
    for name in ("LV", "RV"):
        assert np.abs(own[name] - surfaces[name].vertices_mm).max() < 1.0


def test_what_the_documentation_shows_runs(
    space: HeartSpace, dataset: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snippet of docs/shape.md, on the space of the small data set."""
    text = (Path(__file__).parents[2] / "docs" / "shape.md").read_text("utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    of_lv = space.saved.cohort.volumes_ml[:, space.saved.structures.index("LV")]
    snippet = snippet.replace("(120, 180)", f"({of_lv.min():.1f} + 0.1, {of_lv.max():.1f} - 0.1)")
    (tmp_path / "space").symlink_to(fitted_space(dataset))
    shutil.copy(patient(dataset), tmp_path / "patient.nii.gz")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(snippet, "docs/shape.md", "exec"), found)
    assert len(found["hearts"]) == 2
