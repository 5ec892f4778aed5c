"""Samples as NPZ: exact on the way back, readable by old code, and honest about what is missing."""

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter
from support.shapes import BALL_RADIUS_MM, SHELL_RADIUS_MM

from vecsetx.anatomy.frame import MM_PER_UNIT, Frame
from vecsetx.anatomy.label_sets import LabelSet, label_set
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.commands.export import export
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import LabelMapSource, NpzSource
from vecsetx.errors import InputError
from vecsetx.formats.label_maps import write_label_map
from vecsetx.sampling.npz.layout import npz_ids, read_npz, write_npz
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import Samples, write_samples

DEFAULT = label_set("default")
PAIR = LabelSet("pair", {1: "Myocardium", 2: "LV"})
GROUPS = {
    "surface": ("points_mm", "structure", "normals", "distances_mm", "edge_mm"),
    "near": ("points_mm", "distances_mm", "edge_mm"),
    "volume": ("points_mm", "distances_mm", "edge_mm"),
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Samples:
    path = tmp_path_factory.mktemp("maps") / "heart.nii.gz"
    write_label_map(PhantomHeart.random(np.random.default_rng([0, 0])).voxelize(64, 2.0), path)
    source = LabelMapSource("heart", path, DEFAULT)
    return source.samples(DEFAULT.structures, SamplingSpec(2000, 2100, 2200), seed=3)


def npz(path: Path, labels: LabelSet = DEFAULT) -> Origin:
    return NpzSource(path.stem, path, labels).origin()


def same_arrays(a: Samples, b: Samples) -> None:
    for group, names in GROUPS.items():
        for name in names:
            first, second = (getattr(getattr(s, group), name) for s in (a, b))
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second, err_msg=f"{group}.{name}")


# Files of our own


def test_what_is_written_comes_back_to_the_bit(samples, tmp_path):
    write_npz(samples, tmp_path / "heart.npz")
    source = npz(tmp_path / "heart.npz")
    back = read_npz(source, DEFAULT.structures, seed=samples.info.seed)
    same_arrays(samples, back)
    assert back.info == replace(
        samples.info,
        kind="npz",
        source=str(source.path),
        sha256=source.sha256,
        remarks=(
            *samples.info.remarks,
            f"exported by VecSetX {samples.info.version} from label map {samples.info.source}",
        ),
    )


def test_old_code_reads_it(samples, tmp_path):
    """As the predecessor's loader does: plain numpy, a mask by sign, labels beside the points."""
    write_npz(samples, tmp_path / "heart.npz")
    with np.load(tmp_path / "heart.npz") as data:
        old = {name: data[name] for name in data.files if "." not in name and name != "vecsetx"}
        own = json.loads(str(data["vecsetx"]))
    assert sorted(old) == sorted(
        [f"{g}_{what}" for g in ("near", "vol") for what in ("points", "sdf", "labels")]
        + ["surface_points", "surface_labels"]
    )
    fed = np.concatenate([old["surface_points"], old["surface_labels"]], axis=-1)
    assert fed.shape == (2000, 13)
    assert fed.dtype == np.float32
    np.testing.assert_array_equal(old["surface_labels"].argmax(1), samples.surface.structure)
    np.testing.assert_array_equal(old["surface_labels"].sum(axis=1), 1)
    low, high = old["surface_points"].min(axis=0), old["surface_points"].max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1e-6)
    assert np.linalg.norm(old["surface_points"], axis=1).max() == pytest.approx(1, abs=1e-6)

    frame = TypeAdapter(Frame).validate_python(own["unit"])
    for group, points in (("near", samples.near), ("vol", samples.volume)):
        sdf, labels = old[f"{group}_sdf"], old[f"{group}_labels"]
        assert (sdf.dtype, labels.dtype) == (np.float32, np.int8)
        mm = frame.to_mm(old[f"{group}_points"])
        np.testing.assert_allclose(mm, points.points_mm, atol=1e-4)
        nearest = points.distances_mm.min(axis=1)
        np.testing.assert_allclose(frame.length_to_mm(sdf), nearest, atol=1e-4)
        inner = old[f"{group}_points"][(sdf < 0).reshape(-1)]
        assert len(inner) == np.count_nonzero(labels)
        for index, name in enumerate(samples.info.structures):
            np.testing.assert_array_equal(
                labels == DEFAULT.id_of(name), points.distances_mm[:, index] < 0
            )


def test_ids_are_the_label_sets_own_and_small(samples, tmp_path):
    few = LabelSet("few", {9: "Coronary", 3: "LV"})
    kept = ("LV", "Coronary")
    write_npz(samples, tmp_path / "all.npz")
    heart = read_npz(npz(tmp_path / "all.npz"), kept, 0)
    write_npz(heart, tmp_path / "few.npz", few)
    with np.load(tmp_path / "few.npz") as data:
        assert data["surface_labels"].shape[1] == 9
        assert set(data["vol_labels"]) == {0, 3, 9}
        coronary = data["surface_labels"][:, 8] == 1
    np.testing.assert_array_equal(coronary, heart.surface.structure == 1)

    assert npz_ids(DEFAULT) == {name: number for number, name in DEFAULT.ids.items()}
    assert npz_ids(label_set("mmwhs"))["PA"] == 7  # 850 columns would be of no use
    with pytest.raises(InputError, match=r"heart: Myocardium, LA, .* has no id among Coronary, LV"):
        write_npz(samples, tmp_path / "bad.npz", few)
    assert not (tmp_path / "bad.npz").exists()


def test_only_the_structures_wanted_are_kept(samples, tmp_path):
    write_npz(samples, tmp_path / "heart.npz")
    kept = ("RV", "SVC", "LV")
    back = read_npz(npz(tmp_path / "heart.npz"), kept, 0, mm_per_unit=60.0)
    rv, lv = (samples.info.structures.index(name) for name in ("RV", "LV"))
    assert back.info.structures == ("RV", "LV")
    assert back.info.volumes_ml == {n: samples.info.volumes_ml[n] for n in ("RV", "LV")}
    np.testing.assert_array_equal(back.near.distances_mm, samples.near.distances_mm[:, [rv, lv]])
    is_lv = samples.surface.structure == lv
    either = is_lv | (samples.surface.structure == rv)
    np.testing.assert_array_equal(back.surface.points_mm, samples.surface.points_mm[either])
    np.testing.assert_array_equal(back.surface.structure == 1, is_lv[either])
    np.testing.assert_array_equal(back.surface.normals, samples.surface.normals[either])
    np.testing.assert_array_equal(back.surface.edge_mm, samples.surface.edge_mm[either])
    assert back.info.frame == Frame.around(samples.surface.points_mm[either], 60.0)

    turned = read_npz(npz(tmp_path / "heart.npz"), samples.info.structures[::-1], 0)
    assert turned.info.frame == samples.info.frame
    np.testing.assert_array_equal(turned.volume.distances_mm[:, ::-1], samples.volume.distances_mm)
    with pytest.raises(
        InputError, match=r"heart\.npz: holds none of SVC; choose from Myocardium, LA"
    ):
        read_npz(npz(tmp_path / "heart.npz"), ("SVC",), 0)


def test_a_file_is_written_whole_or_not_at_all(samples, tmp_path, monkeypatch):
    write_npz(samples, tmp_path / "heart.npz")
    before = (tmp_path / "heart.npz").read_bytes()

    def disk_full(stream, **_):
        stream.write(b"some of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    with pytest.raises(OSError, match="No space left"):
        write_npz(samples, tmp_path / "heart.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["heart.npz"]
    assert (tmp_path / "heart.npz").read_bytes() == before


def altered(path: Path, **changes: object) -> Path:
    """The file with some arrays exchanged, or left out where None."""
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files} | changes
    changed = path.with_name("changed.npz")
    np.savez(changed, **{name: array for name, array in arrays.items() if array is not None})
    return changed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"near.normals": None, "near.edge_mm": None}, r"has no near\.edge_mm, only surface"),
        ({"volume.distances_mm": np.zeros((2200, 9))}, r"shape \(2200, 9\), not \(2200, 10\)"),
        ({"vecsetx": np.array("{")}, "vecsetx is damaged .* export the heart again"),
        ({"vecsetx": np.array('{"schema": 1}')}, "schema 1, this version reads 3"),
        ({"vecsetx": np.array('{"schema": 3, "heart": {}}')}, "vecsetx is damaged"),
        ({"vecsetx": np.arange(3)}, "vecsetx is damaged"),
    ],
)
def test_a_damaged_file_of_our_own_is_told(samples, tmp_path, change, why):
    write_npz(samples, tmp_path / "heart.npz")
    path = altered(tmp_path / "heart.npz", **change)
    with pytest.raises(InputError, match=rf"changed\.npz.*{why}"):
        read_npz(npz(path), DEFAULT.structures, 0)


# Files of the predecessor

UNIT_MM = 24.0
CENTRE = np.array([0.1, -0.05, 0.2])
BALL, SHELL = BALL_RADIUS_MM / UNIT_MM, SHELL_RADIUS_MM / UNIT_MM


def true_distances(points):
    """Signed distances ``[N, 2]``, in units: a shell (structure 0) around a ball (structure 1)."""
    radius = np.linalg.norm(points - CENTRE, axis=-1)
    return np.stack([np.maximum(radius - SHELL, BALL - radius), radius - BALL], axis=-1)


def old_file(walls: str = "own", count: int = 6000) -> dict[str, np.ndarray]:
    """A file as the predecessor makes it, with a wall inside: the ball fills the shell.

    Args:
        walls: What distances inside are those to: the ``own`` wall of the structure that the point
            is in, or the ``outer`` wall of both together.
        count: Surface points.
    """
    generator = np.random.default_rng(5)
    ways = generator.standard_normal((count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    which = np.arange(count) % 4  # outside of the shell: 2, its inside: 1, the ball: 1
    radius = np.where(which < 2, SHELL, BALL)
    surface = CENTRE + radius[:, None] * ways
    ids = np.where(which < 3, 1, 2)
    near_count = count + 17
    near = surface[generator.integers(count, size=near_count)]
    near = near + 0.05 * generator.standard_normal(near.shape)
    volume = generator.uniform(-1.2, 1.2, (count, 3))
    arrays = {
        "surface_points": surface.astype(np.float32),
        "surface_labels": (ids[:, None] == np.arange(1, 11)).astype(np.float32),
    }
    for key, points in (("near", near), ("vol", volume)):
        points = points.astype(np.float32)
        true = true_distances(points)
        union = true.min(axis=1)
        labels = np.where(union < 0, true.argmin(axis=1) + 1, 0)
        if walls == "outer":
            union = np.linalg.norm(points - CENTRE, axis=1) - SHELL
        arrays[f"{key}_points"] = points
        arrays[f"{key}_sdf"] = union.astype(np.float32)[:, None]
        arrays[f"{key}_labels"] = labels.astype(np.int8)
    return arrays


def save(path: Path, arrays: dict[str, np.ndarray]) -> Origin:
    np.savez(path, **arrays)
    return npz(path, PAIR)


def stated_error_mm(samples: Samples) -> float:
    return float(re.search(r"good to about ([\d.]+) mm", samples.info.remarks[0])[1])


@pytest.mark.parametrize("walls", ["own", "outer"])
def test_distances_to_each_structure_are_estimated_as_well_as_stated(tmp_path, walls):
    arrays = old_file(walls)
    heart = read_npz(save(tmp_path / "old.npz", arrays), PAIR.structures, 1, mm_per_unit=UNIT_MM)
    assert heart.info.structures == ("Myocardium", "LV")
    stated = stated_error_mm(heart)
    assert 0.3 < stated < 1.2  # points are about 1.6 mm apart on the outer wall
    for group, key in ((heart.near, "near"), (heart.volume, "vol")):
        assert len(group.points_mm) == len(arrays[f"{key}_points"])
        true = UNIT_MM * true_distances(group.points_mm / UNIT_MM)
        off = np.abs(group.distances_mm - true)
        assert (off < stated).mean() > 0.98
        np.testing.assert_array_equal(group.distances_mm < 0, true < 0)
        outside = (true > 0).all(axis=1)
        assert off[outside].min(axis=1).max() < 1e-4  # the nearest structure's distance is known
        rows, sizes = np.flatnonzero(~outside), np.abs(group.distances_mm)
        own_wall = sizes[rows, true[rows].argmin(axis=1)]
        np.testing.assert_array_equal(sizes[rows].min(axis=1), own_wall)  # no other is nearer
        own = off[~outside][np.arange((~outside).sum()), true[~outside].argmin(axis=1)]
        # Discs of a wall bent like this lie up to 0.1 mm within it, and none is at every place.
        assert (own < (0.05 if walls == "own" else stated)).mean() > 0.98
        assert own.max() < 2 * stated
    surface = heart.surface
    true = UNIT_MM * true_distances(surface.points_mm / UNIT_MM)
    assert (np.abs(surface.distances_mm - true) < stated).mean() > 0.98
    assert (surface.distances_mm[np.arange(len(true)), surface.structure] == 0).all()


def test_normals_areas_and_volumes_are_estimated_and_said_to_be(tmp_path):
    source = save(tmp_path / "old.npz", old_file())
    heart = read_npz(source, PAIR.structures, 1, mm_per_unit=UNIT_MM)
    surface, info = heart.surface, heart.info
    away = surface.points_mm / UNIT_MM - CENTRE
    radius = np.linalg.norm(away, axis=1, keepdims=True)
    inwards = (surface.structure == 0) & (radius[:, 0] < (BALL + SHELL) / 2)
    cosine = (surface.normals * away / radius).sum(axis=1) * np.where(inwards, -1, 1)
    assert (cosine > 0.97).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1, atol=1e-5)
    ball, outer = BALL_RADIUS_MM, SHELL_RADIUS_MM
    assert info.areas_mm2["LV"] == pytest.approx(4 * np.pi * ball**2, rel=0.05)
    ml = 4 / 3000 * np.pi
    assert info.volumes_ml["LV"] == pytest.approx(ml * ball**3, rel=0.05)
    assert info.volumes_ml["Myocardium"] == pytest.approx(ml * (outer**3 - ball**3), rel=0.1)
    assert info.pieces == {"Myocardium": 0, "LV": 0}
    assert (info.kind, info.cut, info.reach_mm) == ("npz", (), np.inf)
    assert info.trusted(heart.near).all()
    said = " ".join(info.remarks)
    for word in ("estimated from 6000 surface points", "normals", "millimetres are nominal, 24"):
        assert word in said
    write_samples(heart, tmp_path / "heart.safetensors")  # and can be kept as any other


def test_points_lie_where_they_lay_in_an_order_of_the_seeds(tmp_path):
    arrays = old_file()
    source = save(tmp_path / "old.npz", arrays)
    one, again, other = (read_npz(source, PAIR.structures, seed) for seed in (1, 1, 2))
    same_arrays(one, again)
    assert one.info == again.info
    for key, group in (("surface", "surface"), ("near", "near"), ("vol", "volume")):
        mm = MM_PER_UNIT * arrays[f"{key}_points"]
        found, others = (getattr(s, group).points_mm for s in (one, other))
        assert not np.array_equal(found, mm)
        assert not np.array_equal(found, others)
        for points in (found, others):
            np.testing.assert_allclose(points[np.lexsort(points.T)], mm[np.lexsort(mm.T)])
    assert one.info.frame.mm_per_unit == MM_PER_UNIT
    np.testing.assert_allclose(one.info.frame.center_mm, MM_PER_UNIT * CENTRE, atol=0.5)
    # The same file in a slice's order: a draw of the first tenth sees every part of the heart.
    assert 0.2 < (one.surface.structure[:600] == 1).mean() < 0.3


def test_labels_may_be_ids_and_some_left_out(tmp_path):
    arrays = old_file()
    ids = 1 + arrays["surface_labels"].argmax(axis=1)
    arrays |= {"surface_labels": ids[:, None].astype(np.int16), "vol_sdf": arrays["vol_sdf"][:, 0]}
    source = save(tmp_path / "old.npz", arrays)
    both = read_npz(source, PAIR.structures, 1)
    lv_only = LabelSet("lv", {2: "LV"}, drop=frozenset({1}))
    for wanted, labels in ((("LV",), PAIR), (("LV",), lv_only)):
        one = read_npz(replace(source, label_set=labels), wanted, 1)
        assert one.info.structures == ("LV",)
        np.testing.assert_array_equal(one.near.distances_mm[:, 0], both.near.distances_mm[:, 1])
        assert len(one.surface.points_mm) == (ids == 2).sum()


def guessed(arrays):
    """Labels as once guessed: inside where the way to the wall is long, to the centre short."""
    for key in ("near", "vol"):
        points = arrays[f"{key}_points"]
        gap = np.abs(true_distances(points)).min(axis=1)
        deep = gap > 0.85 * np.linalg.norm(points - CENTRE + 0.2, axis=1)
        arrays[f"{key}_sdf"] = np.where(deep, -gap, gap).astype(np.float32)
        arrays[f"{key}_labels"] = np.where(deep, 2, 0).astype(np.int8)


def misplaced(arrays):
    arrays["near_points"] = arrays["near_points"] + np.float32(0.2)
    arrays["vol_points"] = arrays["vol_points"] + np.float32(0.2)


def turned_signs(arrays):
    arrays["near_sdf"], arrays["vol_sdf"] = -arrays["near_sdf"], -arrays["vol_sdf"]


def from_different_spaces(arrays):
    """36.9% of the points outside by distance, but labelled."""
    outside = np.flatnonzero(arrays["vol_sdf"][:, 0] > 0)
    arrays["vol_labels"][outside[: round(0.369 * len(arrays["vol_labels"]))]] = 1


def put(key, value):
    def change(arrays):
        arrays[key] = value(arrays[key]) if callable(value) else value

    return change


def bad(array, row, value):
    array = array.copy()
    array[row] = value
    return array


FAULTS = {
    "no labels": (lambda a: (a.pop("vol_labels"), a.pop("near_labels")), "has no near_labels, vol"),
    "flat": (put("vol_points", lambda p: p[:, :2]), r"vol_points has shape \(6000, 2\), not \(N,"),
    "empty": (put("near_points", np.zeros((0, 3))), r"near_points has shape \(0, 3\), not \(N, 3"),
    "fewer": (put("near_sdf", lambda d: d[:-1]), r"near_sdf has shape \(6016, 1\), not \(6017,\)"),
    "labels": (put("vol_labels", lambda d: d[1:]), r"vol_labels has shape \(5999,\), not \(6000"),
    "one-hot": (put("surface_labels", lambda d: d[1:]), r"shape \(5999, 10\), not \(6000, C\)"),
    "nan": (put("vol_sdf", lambda d: bad(d, [3, 8], np.nan)), "2 of the 6000 numbers in vol_sdf"),
    "inf": (put("surface_points", lambda p: bad(p, 9, np.inf)), "3 of .* in surface_points are"),
    "text": (put("vol_sdf", np.array(["a"] * 6000)), "vol_sdf holds <U1, not numbers"),
    "no row": (put("surface_labels", lambda d: bad(d, 5, 0)), "1 rows of surface_labels do not"),
    "two": (put("surface_labels", lambda d: bad(d, [5, 6], 1)), "2 rows of surface_labels do not"),
    "half": (put("near_labels", lambda d: bad(d * 1.0, 0, 0.5)), "near_labels holds 0.5; write"),
    "below": (put("near_labels", lambda d: bad(d, 0, -1)), "near_labels holds -1; write ids as"),
    "zero": (put("surface_labels", np.arange(6000) % 2), "3000 of surface_labels are 0"),
    "unknown": (
        put("near_labels", lambda d: bad(d, 0, 7)),
        r"near_labels holds \[7\], which label set pair does not know .* such as default or",
    ),
    "few": (
        put("surface_labels", np.where(np.arange(6000) < 12, 2, 1)),
        "only 12 surface points of LV, at least 13",
    ),
    "no surface": (
        put("surface_labels", np.ones(6000)),
        r"near_labels holds 2 \(LV\), which has no surface points",
    ),
    "spaces": (from_different_spaces, r"vol_labels and vol_sdf contradict .* 36\.9% of the points"),
    "signs": (turned_signs, "near_sdf is positive inside, but distances must be negative inside"),
    "guess": (guessed, "do not match the surface points"),
    "misplaced": (misplaced, "do not match the surface points"),
    "mm": (
        put("near_sdf", lambda d: 24 * d),
        "near_sdf does not fit the surface points: .* scales",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_used_is_told(tmp_path, fault):
    arrays = old_file()
    change, why = FAULTS[fault]
    change(arrays)
    with pytest.raises(InputError, match=rf"old\.npz: .*{why}"):
        read_npz(save(tmp_path / "old.npz", arrays), PAIR.structures, 0)


def test_a_few_contradictions_are_rounding(tmp_path):
    arrays = old_file()
    arrays["vol_labels"][np.flatnonzero(arrays["vol_labels"])[:60]] = 0
    read_npz(save(tmp_path / "old.npz", arrays), PAIR.structures, 0)
    arrays["vol_labels"][np.flatnonzero(arrays["vol_labels"])[:1]] = 0
    with pytest.raises(InputError, match=r"contradict each other at 1\.0%"):
        read_npz(save(tmp_path / "old.npz", arrays), PAIR.structures, 0)


def test_files_that_cannot_be_opened_are_told(tmp_path):
    path = tmp_path / "old.npz"
    source = save(path, old_file(count=400))
    whole = path.read_bytes()

    def refused(why: str) -> None:
        with pytest.raises(InputError, match=rf"old\.npz: .*{why}"):
            read_npz(source, PAIR.structures, 0)

    path.unlink()
    refused("No such file")
    for start in (whole[:5000], b"", b"nothing of the kind"):
        path.write_bytes(start)
        refused("is not an NPZ file, or is cut short")
    with zipfile.ZipFile(path, "w"):
        pass
    refused("has no surface_points, .*, only nothing")
    place = whole.index(b"near_points.npy") + 2000
    path.write_bytes(whole[:place] + b"?" + whole[place + 1 :])
    refused("near_points cannot be read: Bad CRC-32")
    arrays = old_file(count=400)
    np.savez(path, **{**arrays, "vol_sdf": np.array([None] * 400)})
    refused("vol_sdf cannot be read: Object arrays cannot be loaded when allow_pickle=False")


# The whole data set


def test_a_data_set_is_exported_and_a_bad_heart_named(samples, tmp_path):
    data, out = tmp_path / "data", tmp_path / "npz"
    entries = []
    for name in ("a", "b"):
        info = replace(samples.info, name=name)
        write_samples(replace(samples, info=info), data / f"hearts/{name}.safetensors")
        entries.append(
            HeartEntry(
                name=name,
                patient=name,
                split="train",
                fold=0,
                file=f"hearts/{name}.safetensors",
                kind=info.kind,
                source=info.source,
                space="lps",
                sha256=info.sha256,
                content=info.content,
                label_set="default",
                annotated=info.structures,
                version=info.version,
            )
        )
    label_sets = {"default": DEFAULT.to_dict()}
    DataSet(data, DEFAULT.structures, label_sets, 0, 0.2, 5, {}, tuple(entries)).write()
    (data / "hearts/b.safetensors").write_bytes(b"broken")

    failed = export(data, out, workers=1)
    assert list(failed) == ["b"]
    assert "b.safetensors: cannot be read" in failed["b"]
    assert sorted(path.name for path in out.iterdir()) == [".vecsetx", "a.npz"]
    same_arrays(samples, read_npz(npz(out / "a.npz"), DEFAULT.structures, 0))
    with pytest.raises(InputError, match="no such folder"):
        export(tmp_path / "nowhere", out)
