from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from support.shapes import ball_in_shell, ball_in_shell_distances

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.model.anchors import anchors_by_structure
from vecsetx.sampling.point_sampling import quotas
from vecsetx.sampling.sampler import SamplingSpec, observe
from vecsetx.sampling.samples import Samples, SamplesFile, write_samples

SPEC = SamplingSpec(3000, 3000, 3000)
LABELS = LabelSet("pair", {1: "Myocardium", 2: "LV"})
STRUCTURES = ("Myocardium", "LV")


def source(path: Path) -> LabelMapSource:
    return LabelMapSource("pair", path, LABELS)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    path = tmp_path_factory.mktemp("maps") / "pair.nii.gz"
    write_label_map(ball_in_shell(), path)
    return source(path).samples(STRUCTURES, SPEC, seed=0)


def test_distances_labels_and_normals_agree(samples: Samples) -> None:
    for group in (samples.near, samples.volume):
        true = ball_in_shell_distances(group.points_mm)
        inside_range = np.abs(true) < 10
        assert np.abs(group.distances_mm - true)[inside_range].max() < 0.6
    points, own = samples.surface.points_mm, samples.surface.structure
    rows = np.arange(len(points))
    assert (samples.surface.distances_mm[rows, own] == 0).all()
    step = 0.5 * samples.surface.normals  # outwards: the own distance grows
    grown = ball_in_shell_distances(points + step) - ball_in_shell_distances(points - step)
    assert (grown[rows, own] > 0).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(samples.surface.normals, axis=1), 1, atol=1e-5)


def test_walls_are_drawn_from_both_sides(samples: Samples) -> None:
    """Near and surface points lie around inner walls too, not only around the union."""
    true = ball_in_shell_distances(samples.surface.points_mm)
    on_wall = np.abs(true).max(axis=1) < 0.5
    assert set(samples.surface.structure[on_wall]) == {0, 1}
    near = np.abs(ball_in_shell_distances(samples.near.points_mm)[:, 1]) < 2
    assert near.mean() > 0.2


def test_what_is_told_of_the_heart(samples: Samples) -> None:
    volumes, areas = samples.info.volumes_ml, samples.info.areas_mm2
    ball, whole = (4 / 3 * np.pi * radius**3 / 1000 for radius in (15, 22))
    assert volumes["LV"] == pytest.approx(ball, rel=0.02)
    assert volumes["Myocardium"] == pytest.approx(whole - ball, rel=0.02)
    assert areas["LV"] == pytest.approx(4 * np.pi * 15**2, rel=0.02)
    assert samples.info.pieces == {"Myocardium": 1, "LV": 1}
    assert samples.info.cut == ()
    assert samples.info.trusted(samples.near).all()


def test_distances_beyond_the_reach_are_the_reach(samples: Samples) -> None:
    true = ball_in_shell_distances(samples.volume.points_mm)
    far = np.abs(true) > 16.5
    assert far.mean() > 0.05
    assert set(samples.volume.distances_mm[far]) <= {-16.0, 16.0}
    np.testing.assert_array_equal(samples.volume.distances_mm[far] < 0, true[far] < 0)


def test_absent_structures_are_left_out_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pair.nii.gz"
    write_label_map(ball_in_shell(), path)
    labels = LabelSet("three", {3: "RA", 1: "Myocardium", 2: "LV"})
    heart = LabelMapSource("pair", path, labels)
    found = heart.samples(("RA", "Myocardium", "LV"), SPEC, seed=0)
    assert found.info.structures == ("Myocardium", "LV")
    assert found.near.distances_mm.shape == (3000, 2)
    assert set(found.surface.structure) == {0, 1}
    true = ball_in_shell_distances(found.near.points_mm)
    assert np.abs(found.near.distances_mm - true)[np.abs(true) < 10].max() < 0.6


def test_file_round_trip_is_exact(samples: Samples, tmp_path: Path) -> None:
    write_samples(samples, tmp_path / "pair.safetensors")
    file = SamplesFile(tmp_path / "pair.safetensors")
    back = file.read()
    assert back.info == samples.info
    for group in ("surface", "near", "volume"):
        read, written = getattr(back, group), getattr(samples, group)
        for field in fields(written):
            found, expected = getattr(read, field.name), getattr(written, field.name)
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == expected.dtype
            assert found.flags.c_contiguous
    wrapped = file.part((0, 0), (2990, 20), (0, 0))
    expected = np.roll(samples.near.points_mm, -2990, axis=0)[:20]
    np.testing.assert_array_equal(wrapped.near.points_mm, expected)
    assert len(wrapped.surface.points_mm) == len(wrapped.volume.points_mm) == 0


def test_a_file_is_one_table_per_group(samples: Samples, tmp_path: Path) -> None:
    """For whoever reads it without this package: safetensors, columns in the order told."""
    write_samples(samples, tmp_path / "pair.safetensors")
    tables = load_file(tmp_path / "pair.safetensors")
    surface, near = samples.surface, samples.near
    structure = surface.structure.astype(np.float32)
    edge, queries_edge = surface.edge_mm[:, None], near.edge_mm[:, None]
    parts = (surface.points_mm, structure[:, None], surface.normals, surface.distances_mm, edge)
    np.testing.assert_array_equal(tables["surface"], np.hstack(parts))
    parts = (near.points_mm, near.distances_mm, queries_edge)
    np.testing.assert_array_equal(tables["near"], np.hstack(parts))
    assert {table.dtype.str for table in tables.values()} == {"<f4"}


def test_files_of_other_forms_are_refused(samples: Samples, tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    write_samples(samples, path)
    # Without the hash of its header, as in files of earlier versions.
    content = path.read_bytes().replace(b'"tensors_sha256"', b'"tensors_former"')
    for before, after, told in (
        (b'"schema":"4"', b'"schema":"2"', "schema 2, this version reads 4; prepare the data aga"),
        (b'"near"', b'"nera"', "holds .*nera.*, but a heart of 2 structures has .*prepare the"),
    ):
        assert content.count(before) == 1
        path.write_bytes(content.replace(before, after))
        with pytest.raises(InputError, match=rf"pair\.safetensors: {told}"):
            SamplesFile(path)
    save_file({"near.edge_mm": np.zeros(5)}, path, {"schema": "2"})  # as they were
    with pytest.raises(InputError, match=r"schema 2, this version reads 4"):
        SamplesFile(path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"broken\.safetensors"):
        SamplesFile(broken)


def test_the_same_seed_gives_the_same_samples(samples: Samples, tmp_path: Path) -> None:
    path = tmp_path / "pair.nii.gz"
    write_label_map(ball_in_shell(), path)
    again = source(path).samples(STRUCTURES, SPEC, seed=0)
    other = source(path).samples(STRUCTURES, SPEC, seed=1)
    np.testing.assert_array_equal(again.volume.points_mm, samples.volume.points_mm)
    assert not np.array_equal(other.volume.points_mm, samples.volume.points_mm)


def test_observation_matches_preparation(samples: Samples) -> None:
    geometry = Geometry.of_label_map(ball_in_shell(), 2)
    observation = observe(geometry, 500, mm_per_unit=80.0, seed=0)
    assert observation.frame == samples.info.frame
    true = ball_in_shell_distances(observation.points_mm)
    assert np.abs(true[np.arange(500), observation.structure]).max() < 0.6


@given(
    sizes=st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=12).filter(
        lambda s: sum(s) > 0
    ),
    count=st.integers(0, 5000),
    share=st.floats(0, 1),
)
def test_quotas_add_up_and_starve_nobody(sizes, count, share) -> None:
    found = quotas(np.array(sizes), count, share)
    present = np.array(sizes) > 0
    assert found.sum() == count
    assert (found[~present] == 0).all()
    assert (found[present] >= np.floor(share * count / present.sum()) - 1).all()


def plain_farthest_points(points: np.ndarray, count: int) -> list[int]:
    chosen = [0]
    nearest = np.full(len(points), np.inf, np.float32)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(nearest.argmax()))
    return chosen


@given(
    seed=st.integers(0, 1000),
    hearts=st.integers(1, 5),
    structures=st.integers(1, 12),
    count=st.integers(0, 90),
)
def test_anchors_are_each_structure_s_farthest_points(seed, hearts, structures, count) -> None:
    generator = np.random.default_rng(seed)
    points = generator.standard_normal((hearts, 90, 3)).astype(np.float32)
    odds = generator.dirichlet(np.full(structures, 0.5))  # some are rare, some not there
    structure = generator.choice(structures, (hearts, 90), p=odds)
    tensors = torch.from_numpy(points), torch.from_numpy(structure)
    found = anchors_by_structure(*tensors, count).numpy()
    assert found.shape == (hearts, count)
    for heart in range(hearts):
        expected = []
        for k in range(structures):
            own = np.flatnonzero(structure[heart] == k)
            share = np.count_nonzero(structure[heart][found[heart]] == k)
            if share:
                expected += own[plain_farthest_points(points[heart, own], share)].tolist()
        assert found[heart].tolist() == expected
        sizes = np.bincount(structure[heart], minlength=structures)
        shares = np.bincount(structure[heart][found[heart]], minlength=structures)
        rest = shares[shares < sizes]  # those that could have given more
        assert len(expected) == count
        assert len(rest) == 0 or (np.ptp(rest) <= 1 and shares.max() <= rest.min() + 1)


def test_anchors_are_shared_equally_among_structures() -> None:
    structure = torch.tensor([0, 1, 2]).repeat_interleave(torch.tensor([1000, 20, 300]))
    points = torch.randn(1320, 3, generator=torch.Generator().manual_seed(0))
    anchors = anchors_by_structure(points[None], structure[None], 120)[0]
    assert len(set(anchors.tolist())) == 120
    assert structure[anchors].bincount().tolist() == [50, 20, 50]


def test_more_anchors_than_points_are_refused() -> None:
    points, structure = torch.zeros(2, 10, 3), torch.zeros(2, 10, dtype=torch.int64)
    with pytest.raises(InputError, match="11 latents need at least 11 surface points, not 10"):
        anchors_by_structure(points, structure, 11)


def test_nothing_has_no_surface() -> None:
    empty = LabelMap(np.zeros((8, 8, 8), np.uint8), np.eye(4))
    with pytest.raises(InputError, match="without any structure"):
        Geometry.of_label_map(empty, 2)
