"""A shape space's folder: ``space.json`` describes it, ``space.safetensors`` holds the arrays."""

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import ConfigDict, Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vecsetx._version import __version__
from vecsetx.anatomy.structures import StructureName
from vecsetx.errors import InputError
from vecsetx.files import write_json, written_whole
from vecsetx.names import Name
from vecsetx.plain_data import PlainDataError, hash_of, read_json, validated
from vecsetx.population.shape_space import ShapeSpace
from vecsetx.population.surface_distance import surface_distance
from vecsetx.population.template import Template
from vecsetx.schemas import SPACE, check_schema, schema_of
from vecsetx.special_files import check_no_device

__all__ = ["Cohort", "SavedSpace"]

_JSON, _ARRAYS = "space.json", "space.safetensors"
_MOST_ELEMENTS = 2**28
"""Elements of one array; a space of 1000 hearts with 512 anchors has 18 million."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """The hearts that a space was fitted to.

    Attributes:
        names: Their names.
        coordinates: ``[N, k]`` in standard deviations along the modes.
        positions: ``[N, M, 3]`` positions of their anchors, units; NaN where there is none.
        normals: ``[N, M, 3]`` outward unit normals there; likewise.
        structure: ``[M]`` index of each anchor's structure.
        volumes_ml: ``[N, S]`` volumes of their structures; NaN where one is missing or cut.
        most_pieces: ``[S]`` most pieces that a structure has in any of them.
        touching: ``[S, S]`` whether two structures touch in all of them that have both.
        distances: ``[N]`` Mahalanobis distances in the spaces of the others.
        residuals: ``[N]`` mean distances of their surfaces from those spaces, units.
    """

    names: tuple[str, ...]
    coordinates: Float[np.ndarray, "n k"]
    positions: Float[np.ndarray, "n m 3"]
    normals: Float[np.ndarray, "n m 3"]
    structure: Int[np.ndarray, " m"]
    volumes_ml: Float[np.ndarray, "n s"]
    most_pieces: Int[np.ndarray, " s"]
    touching: Bool[np.ndarray, "s s"]
    distances: Float[np.ndarray, " n"]
    residuals: Float[np.ndarray, " n"]

    def nearest(
        self, positions: Float[np.ndarray, "m 3"], count: int = 1
    ) -> list[tuple[str, float]]:
        """Return the hearts that are nearest to another heart, the nearest first.

        Args:
            positions: The other heart's anchors, units; NaN where there is none.
            count: Number of hearts.

        Returns:
            Names, and mean distances of the other heart from their surfaces, units.
        """
        away = [
            surface_distance(positions, own, normals, self.structure)
            for own, normals in zip(self.positions, self.normals, strict=True)
        ]
        order = np.argsort(away, kind="stable")[:count]
        return [(self.names[k], away[k]) for k in order]


@dataclass(frozen=True, slots=True)
class SavedSpace:
    """A shape space with what its hearts are made by.

    Attributes:
        model: The model's name, as commands take it.
        model_sha256: Hash of its weights.
        structures: Names of the S structures, in the order of the volumes.
        space: Mean and modes.
        template: The heart whose anchors are carried to others.
        cohort: The hearts that it was fitted to.
        sha256: Hash of the whole, once it is written.
    """

    model: str
    model_sha256: str
    structures: tuple[str, ...]
    space: ShapeSpace
    template: Template
    cohort: Cohort
    sha256: str = ""

    def write(self, folder: Path) -> None:
        """Write the folder's files, the description last."""
        arrays = {
            "mean": self.space.mean,
            "modes": self.space.modes,
            "sd": self.space.sd,
            "template.points": self.template.points,
            "template.normals": self.template.normals,
            "template.structure": self.template.structure,
            "cohort.coordinates": self.cohort.coordinates,
            "cohort.positions": self.cohort.positions,
            "cohort.normals": self.cohort.normals,
            "cohort.volumes_ml": self.cohort.volumes_ml,
            "cohort.most_pieces": self.cohort.most_pieces,
            "cohort.touching": self.cohort.touching,
            "cohort.distances": self.cohort.distances,
            "cohort.residuals": self.cohort.residuals,
        }
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(folder / _ARRAYS) as unfinished:
            unfinished.write_bytes(content)
        description = _Description(
            version=__version__,
            model=self.model,
            model_sha256=self.model_sha256,
            structures=self.structures,
            weight=self.space.weight,
            anchors=self.template.anchors,
            hearts=self.cohort.names,
            arrays_sha256=hashlib.sha256(content).hexdigest(),
        )
        plain = asdict(description)
        write_json(folder / _JSON, {**plain, "sha256": hash_of(plain, "sha256")})

    @classmethod
    def read(cls, folder: Path) -> "SavedSpace":
        """Read a shape space.

        Raises:
            InputError: There is none, it is damaged, or of another schema.
        """
        path = folder / _JSON
        if not path.is_file():
            what = "no shape space" if folder.exists() else "no such folder"
            raise InputError(f"{folder}: {what}; make a shape space with vecsetx shape fit")
        try:
            content = read_json(path)
            if not isinstance(content, dict):
                raise PlainDataError("it is no table")
        except (OSError, PlainDataError) as error:
            raise _unreadable(folder, error) from error
        check_schema(path, schema_of(content), SPACE, "fit it again")
        try:
            sha256 = content.pop("sha256", "")
            if sha256 != hash_of(content, "sha256"):
                raise PlainDataError("its hash differs from that of its content")
            described = validated(_DESCRIPTION.validate_python, content)
            arrays = _read_arrays(folder / _ARRAYS, described.arrays_sha256)
            return replace(_assembled(described, arrays), sha256=sha256)
        except (OSError, SafetensorError, PlainDataError, ValueError, KeyError) as error:
            raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder}: cannot be read as a shape space ({error}); fit it again")


@dataclass(frozen=True, slots=True)
class _Description:
    """``space.json``."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    version: str
    model: str
    model_sha256: str
    structures: tuple[StructureName, ...]
    weight: tuple[float, float]
    anchors: Annotated[int, Field(ge=1, le=2**17)]
    hearts: tuple[Name, ...]
    arrays_sha256: str
    schema: int = SPACE


_DESCRIPTION = TypeAdapter(_Description)


def _read_arrays(path: Path, sha256: str) -> dict[str, np.ndarray]:
    check_no_device(path)
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != sha256:
            raise ValueError(f"the hash of {path.name} differs from that in {_JSON}")
    arrays = {}
    with safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118
            shape = file.get_slice(name).get_shape()
            if np.prod(shape, dtype=float) > _MOST_ELEMENTS:
                raise ValueError(f"{name[:80]!a} of shape {shape} is too large")
            arrays[name] = file.get_tensor(name)
    return arrays


def _assembled(described: _Description, arrays: dict[str, np.ndarray]) -> SavedSpace:
    anchors, hearts = described.anchors, len(described.hearts)
    modes = arrays["modes"]
    k, m, d = modes.shape
    expected: dict[str, tuple[int, ...]] = {
        "mean": (m, d),
        "sd": (k,),
        "cohort.coordinates": (hearts, k),
        "cohort.positions": (hearts, m, 3),
        "cohort.normals": (hearts, m, 3),
        "cohort.volumes_ml": (hearts, len(described.structures)),
        "cohort.most_pieces": (len(described.structures),),
        "cohort.touching": (len(described.structures),) * 2,
        "cohort.distances": (hearts,),
        "cohort.residuals": (hearts,),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape}, not {shape}")
    if m != anchors or not all(np.isfinite(arrays[n]).all() for n in ("mean", "modes", "sd")):
        raise ValueError("its modes do not fit its anchors, or are not finite")
    return SavedSpace(
        described.model,
        described.model_sha256,
        described.structures,
        ShapeSpace(arrays["mean"], modes, arrays["sd"], described.weight),
        Template(
            arrays["template.points"],
            arrays["template.normals"],
            arrays["template.structure"],
            anchors,
        ),
        Cohort(
            described.hearts,
            arrays["cohort.coordinates"],
            arrays["cohort.positions"],
            arrays["cohort.normals"],
            arrays["template.structure"][:anchors],
            arrays["cohort.volumes_ml"],
            arrays["cohort.most_pieces"],
            arrays["cohort.touching"],
            arrays["cohort.distances"],
            arrays["cohort.residuals"],
        ),
    )
