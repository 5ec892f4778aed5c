"""What is no file is read by no reader: a pipe would never end, nor would some devices."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from vecsetx.anatomy.label_sets import label_set
from vecsetx.cohort.identity import plain_file
from vecsetx.data.own_split import read_split
from vecsetx.errors import InputError
from vecsetx.formats.images import read_grid, read_image
from vecsetx.formats.meshes import read_mesh
from vecsetx.formats.name_tables import names_beside
from vecsetx.formats.points import read_points
from vecsetx.formats.unpacking import Unpacked
from vecsetx.model.reference_file import read_reference
from vecsetx.model.weights import check_shapes
from vecsetx.plain_data import read_json, read_yaml
from vecsetx.sampling.npz.arrays import NpzArrays
from vecsetx.sampling.samples import SamplesFile
from vecsetx.special_files import check_no_device
from vecsetx.training.checkpoint import load_checkpoint
from vecsetx.training.journal import read_journal

READERS: dict[str, Callable[[Path], object]] = {
    "label_map.nii.gz": read_image,
    "label_map.nrrd": read_image,
    "grid.mha": read_grid,
    "segmentation.dcm": read_image,
    "packed.nii.gz": Unpacked,
    "mesh.vtp": read_mesh,
    "mesh.stl": read_mesh,
    "mesh.obj": read_mesh,
    "points.csv": lambda path: read_points(path, ("LV",), label_set("default")),
    "points.vtp": lambda path: read_points(path, ("LV",), label_set("default")),
    "points.ply": lambda path: read_points(path, ("LV",), label_set("default")),
    "heart.npz": NpzArrays,
    "heart.safetensors": SamplesFile,
    "names.tsv": names_beside,
    "names.ctbl": names_beside,
    "splits.csv": lambda path: read_split(path, ["heart"]),
    "data.json": read_json,
    "labels.yaml": read_yaml,
    "model.safetensors": lambda path: check_shapes(path, {}),
    "pose.safetensors": lambda path: read_reference(path, ""),
    "checkpoint.pt": lambda path: load_checkpoint(path, {}, ""),
    "metrics.jsonl": read_journal,
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_what_is_no_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    # It has an end, unlike a pipe: a reader that opened it would fail here, not wait.
    path.symlink_to(os.devnull)
    with pytest.raises(InputError, match="a pipe or device, no file; copy what it gives into a fi"):
        READERS[name](path)


def test_pipes_sockets_and_devices_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "link", tmp_path / "socket", Path("/dev/zero")):
            with pytest.raises(InputError, match="a pipe or device"):
                check_no_device(path)
    (tmp_path / "dangling").symlink_to("missing")
    (tmp_path / "file").touch()
    for name in ("dangling", "file", "missing", "."):
        check_no_device(tmp_path / name)  # readers say what is wrong with those


def test_what_is_no_file_has_no_hash(tmp_path: Path) -> None:
    (tmp_path / "device").symlink_to(os.devnull)
    assert plain_file(tmp_path / "device") is None
