"""Samples from strangers: NPZ and safetensors files, damaged or made to harm."""

import json
import logging
import math
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.limited import outcomes
from support.mutations import mutations

from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import NpzSource, SamplesSource
from vecsetx.errors import InputError
from vecsetx.plain_data import PlainDataError
from vecsetx.sampling.heart_info import HeartInfo
from vecsetx.sampling.npz.layout import write_npz
from vecsetx.sampling.samples import Samples, SamplesFile, write_samples

DEFAULT = label_set("default")


def first(dataset: DataSet) -> Path:
    return dataset.folder / dataset.hearts[0].file


def read_npz(path: Path) -> Samples:
    return NpzSource("heart", path, DEFAULT).read(DEFAULT.structures)


def read_samples(path: Path) -> Samples:
    return SamplesSource("heart", path, DEFAULT).read(DEFAULT.structures)


def part(samples: Samples, rows: int) -> Samples:
    """A few points of each group."""

    def cut(points: Any) -> Any:
        return type(points)(**{n: getattr(points, n)[:rows] for n in points.__dataclass_fields__})

    return Samples(cut(samples.surface), cut(samples.near), cut(samples.volume), samples.info)


@pytest.fixture(scope="module")
def small(dataset: DataSet) -> Samples:
    return part(SamplesFile(first(dataset)).read(), 60)


def test_arrays_exchanged_in_the_header_are_noticed(small: Samples, tmp_path: Path) -> None:
    path = tmp_path / "heart.safetensors"
    write_samples(small, path)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    near, volume = header["near"], header["volume"]
    assert near["shape"] == volume["shape"]  # nothing else tells them apart
    near["data_offsets"], volume["data_offsets"] = volume["data_offsets"], near["data_offsets"]

    def write() -> None:
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])

    write()
    with pytest.raises(InputError, match="the hash of its header differs; prepare the heart again"):
        SamplesFile(path)
    del header["__metadata__"]["tensors_sha256"]  # as in files of earlier versions
    write()
    exchanged = SamplesFile(path).read()
    assert np.array_equal(exchanged.near.points_mm, small.volume.points_mm)


def array(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """The header of an array."""
    text = str({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(10 + len(text) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text


def write_zip(path: Path, members: dict[str, bytes], zeros: int = 0) -> Path:
    """A compressed NPZ file; each member ends with ``zeros`` MB of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                stream.write(content)
                for _ in range(zeros):
                    stream.write(bytes(1 << 20))
    return path


def test_an_archive_of_arrays_is_not_believed(small: Samples, tmp_path: Path) -> None:
    write_npz(small, sound := tmp_path / "sound.npz")
    paths = [
        write_zip(tmp_path / "large.npz", {"vecsetx": array((100 << 20, 3))}, 1200),
        write_zip(tmp_path / "claim.npz", {"vecsetx": array((10**12, 3))}),
        write_zip(tmp_path / "short.npz", {"vecsetx": array((100 << 20, 3)) + bytes(12)}),
        write_zip(tmp_path / "negative.npz", {"vecsetx": array((-5, 3))}),
        write_zip(tmp_path / "none.npz", {"vecsetx": b""}),
        write_zip(tmp_path / "object.npz", {"vecsetx": array((1,), "|O") + b"cos\nsystem"}),
        write_zip(tmp_path / "open.npz", {"vecsetx": array((5, 3)).replace(b"(5, 3)", b"(5, [3")}),
        write_zip(tmp_path / "old.npz", {"vecsetx": array((5, 3)).replace(b"(5, 3)", b"(5L,3)")}),
    ]
    calls = [(read_npz, (path,)) for path in (*paths, sound)]
    found = outcomes(calls, 200, [(read_npz, (sound,))])
    assert found[-1] == "read"
    for path, said in zip(paths, found, strict=False):
        assert said.startswith(f"{path}: ")


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_damage_is_read_or_refused(
    kind: str, small: Samples, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / f"heart.{kind}"
    write, read = {"npz": (write_npz, read_npz), "safetensors": (write_samples, read_samples)}[kind]
    write(small, path)
    whole = path.read_bytes()
    said: list[str] = []
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        for changed in mutations(whole, np.random.default_rng(0), 300, near=4000):
            path.write_bytes(changed)
            try:
                read(path)
            except InputError as refusal:
                said.append(str(refusal))
    assert len(said) > 100
    assert all(line.startswith(str(path)) for line in said)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("surface_points", lambda a: a * 1e30),
        ("near.points_mm", lambda a: a * np.float32(1e30)),
        ("near.points_mm", lambda a: a + np.float32(np.nan)),
        ("volume.distances_mm", lambda a: a * np.float32(np.nan)),
        ("surface.structure", lambda a: a + 100),
        ("surface.structure", lambda a: a.astype(np.float32)),
        ("surface.points_mm", lambda a: a.astype(str)),
        ("surface.points_mm", lambda a: a * np.float32(1000)),
        ("surface.normals", lambda a: a * np.float32(np.inf)),
    ],
)
def test_numbers_of_no_heart_are_refused(
    small: Samples, tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    path = tmp_path / "heart.npz"
    write_npz(small, path)
    with np.load(path) as file:
        arrays = {key: file[key] for key in file}
    if name == "surface_points":  # as the predecessor's files have it
        del arrays["vecsetx"]
    arrays[name] = change(arrays[name])
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"heart\.npz: "):
        read_npz(path)


@pytest.mark.parametrize(
    "values",
    [
        {"volumes_ml": {}},
        {"volumes_ml": {"LV": 100.0}},
        {"areas_mm2": {"../LV": 100.0}},
        {"pieces": {"LV": 1}},
        {"structures": ["LV"]},
        {"structures": []},
        {"cut": ["SVC"]},
        {"reach_mm": math.nan},
        {"reach_mm": 0},
        {"spacing_mm": [0.0, 1.0, 1.0]},
        {"spacing_mm": [math.inf, 1.0, 1.0]},
        {"speck_voxels": -1},
        {"seed": -1},
    ],
    ids=str,
)
def test_a_description_fits_a_heart(dataset: DataSet, values: dict[str, Any]) -> None:
    info = json.loads(json.dumps(asdict(SamplesFile(first(dataset)).info)))
    HeartInfo.from_dict(info)
    with pytest.raises(PlainDataError):
        HeartInfo.from_dict(info | values)


@pytest.mark.parametrize("ml", [math.inf, math.nan, -1.0, 1e5])
@pytest.mark.parametrize("table", ["volumes_ml", "areas_mm2", "pieces"])
def test_amounts_are_those_of_a_heart(dataset: DataSet, table: str, ml: float) -> None:
    info = json.loads(json.dumps(asdict(SamplesFile(first(dataset)).info)))
    name = next(iter(info[table]))
    wrong = ml * 1e3 if table == "areas_mm2" else ml
    if table == "pieces" and ml == 1e5:
        wrong = 0.5
    info[table][name] = wrong
    with pytest.raises(PlainDataError, match=table):
        HeartInfo.from_dict(info)
