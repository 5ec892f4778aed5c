"""Saved models: weights as safetensors, everything else as JSON.

A model is a folder or a repository on the Hugging Face Hub. The Hub's own ``ModelHubMixin`` does
not fit: it assigns to instances, which frozen dataclasses forbid; it writes a ``config.json`` and a
model card into every saved folder; and it finds no offline model without that ``config.json``.
"""

import logging
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
from jaxtyping import Int
from pydantic import ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.structures import StructureName
from vecsetx.data.dataset import DataSet
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text, written_whole
from vecsetx.geometry.pose import ReferenceHeart
from vecsetx.manifest.recording import note_model
from vecsetx.model.built_in import BUILT_IN, built_in_model, recorded_name
from vecsetx.model.heart_field import HeartField
from vecsetx.model.reference_file import read_reference, write_reference
from vecsetx.model.vecset import ModelSpec, VecSetAutoEncoder
from vecsetx.model.weights import check_hash, check_shapes, weights_sha256
from vecsetx.plain_data import PlainDataError, hash_of, read_json, validated, validator
from vecsetx.sampling.observation import Observation
from vecsetx.sampling.quality.usual_heart import UsualHeart
from vecsetx.schemas import check_schema
from vecsetx.special_files import check_no_device

_log = logging.getLogger(__name__)

SCHEMA = 2
"""Version of ``model.json``; other versions are rejected."""

CALIBRATION = "calibration.json"
"""File that ``vecsetx calibrate`` writes beside a model; it is saved and uploaded with it."""

_WEIGHTS, _DESCRIPTION, _POSE = "model.safetensors", "model.json", "pose.safetensors"

_HASH = "description_sha256"
"""Entry of ``model.json``: the hash of all others."""

REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)  # owner/name on the Hub


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model with everything needed to use it.

    Attributes:
        network: The autoencoder.
        structures: Names of its K structures.
        label_set: Label set of its training data, the default for its inputs.
        mm_per_unit: Scale of its frames.
        truncation: Units up to which its distances are reliable.
        points: Number of surface points per heart in training.
        provenance: Where the model comes from, as plain data.
        calibration: Text of its :data:`CALIBRATION` file; None if it has none.
        usual: What is usual in its training hearts; None for a model of an earlier version.
        partial: Whether training hid parts of hearts, so that the model learned to infer them; None
            for a model of an earlier version, which does not say.
        pose: The heart as which training turned all hearts, and as which hearts are turned in use;
            None: it turned none.
    """

    network: VecSetAutoEncoder
    structures: tuple[str, ...]
    label_set: LabelSet
    mm_per_unit: float
    truncation: float
    points: int
    provenance: Mapping[str, Any]
    calibration: str | None = None
    usual: UsualHeart | None = None
    partial: bool | None = None
    pose: ReferenceHeart | None = None

    def encode(
        self,
        observation: Observation,
        latents: int | None = None,
        anchors: Int[np.ndarray, " m"] | None = None,
    ) -> HeartField:
        """Encode the observed part of a heart; see :meth:`HeartField.encode`.

        Args:
            observation: Labelled surface points.
            latents: Number of latents; None for the number in training.
            anchors: Indices of the points that they are put on; None: they are chosen evenly.

        Returns:
            The heart as a field, whose ``distances_mm`` takes any number of points.

        Raises:
            InputError: The model's queries are learned, and their number would change.
        """
        spec = self.network.spec
        if latents and spec.queries == "learnable" and latents != spec.latents:
            raise InputError(
                f"{latents} latents: this model's {spec.latents} queries are learned; only models "
                f"whose queries are surface points can change their number, so use {spec.latents}"
            )
        return HeartField.encode(
            self.network, self.structures, observation, self.truncation, latents, anchors
        )

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Write weights, description and calibration to a folder, each file atomically.

        Args:
            folder: The folder.
            half: Whether to round the weights to float16: half the size, but another model.
        """
        folder, network = Path(folder), self.network
        weights = {name: t.contiguous() for name, t in network.state_dict().items()}
        if half:
            network = deepcopy(network).half().float()
            weights = {name: tensor.half() for name, tensor in weights.items()}
        with written_whole(folder / _WEIGHTS) as unfinished:
            unfinished.write_bytes(save(weights))  # save_file hides why a disk fails
        pose_sha256 = None if self.pose is None else write_reference(folder / _POSE, self.pose)
        description = _Description(
            schema=SCHEMA,
            weights_sha256=weights_sha256(network),
            model=self.network.spec,
            structures=self.structures,
            label_set=self.label_set.to_dict(),
            mm_per_unit=self.mm_per_unit,
            truncation=self.truncation,
            points=self.points,
            provenance=dict(self.provenance),
            usual=self.usual,
            partial=self.partial,
            pose_sha256=pose_sha256,
        )
        content = asdict(description)
        write_json(folder / _DESCRIPTION, content | {_HASH: hash_of(content, _HASH)})
        if self.calibration is not None:
            write_text(folder / CALIBRATION, self.calibration)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
    ) -> "TrainedModel":
        """Load a saved model in evaluation mode on the CPU.

        Args:
            model: The model's folder or its run's folder; if no such folder exists, a repository
                ``owner/name`` on the Hugging Face Hub. A folder never needs the network.
            revision: Branch, tag or commit of the repository.
            token: Hub token; None for the one stored by the Hub's login.
            cache_dir: Folder for downloads; None for the Hub's default.
            local_files_only: Use only downloaded files; never connect to the Hub.

        Raises:
            InputError: There is no model, or it is damaged or has another schema.
        """
        folder = model_folder(
            model,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        path = folder / _DESCRIPTION
        description = _read_description(path)
        try:
            # Compared first, so that a description cannot ask for more memory than the file has.
            expected = description.model.weight_shapes(len(description.structures))
            check_shapes(folder / _WEIGHTS, expected)
            network = description.model.build(len(description.structures))
            network.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise InputError(f"{folder}: damaged model: {error}") from error
        check_hash(folder / _WEIGHTS, network, description.weights_sha256)
        note_model(recorded_name(folder), folder / _WEIGHTS)
        pose = description.pose_sha256
        return cls(
            network.eval(),
            description.structures,
            LabelSet.from_dict(description.label_set, str(path)),
            description.mm_per_unit,
            description.truncation,
            description.points,
            description.provenance,
            _read_text(folder / CALIBRATION),
            description.usual,
            description.partial,
            None if pose is None else read_reference(folder / _POSE, pose),
        )

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = True,
        branch: str | None = None,
        token: str | bool | None = None,
        commit_message: str = "Upload the model",
    ) -> str:
        """Upload the model to the Hugging Face Hub.

        The upload includes its provenance and calibration, with the names of the hearts used for
        training and calibration: make sure that they do not identify patients.

        Args:
            repository: ``owner/name``; created if it does not exist.
            private: Whether a newly created repository is private.
            branch: An existing branch; None for ``main``.
            token: Hub token; None for the one stored by the Hub's login.
            commit_message: Message of the upload's commit.

        Returns:
            The commit's URL.
        """
        from huggingface_hub import HfApi

        hub = HfApi(token=token)
        hub.create_repo(repository, private=private, exist_ok=True)
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            commit = hub.upload_folder(
                repo_id=repository,
                folder_path=folder,
                revision=branch,
                commit_message=commit_message,
            )
        return str(commit)


_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class _Description:
    """The content of ``model.json``, with the same names. Unknown names are rejected."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    schema: int
    model: ModelSpec
    structures: tuple[StructureName, ...]
    label_set: dict[str, Any]
    mm_per_unit: _Positive
    truncation: _Positive
    points: Annotated[int, Field(ge=1, le=2**24)]
    provenance: dict[str, Any]
    weights_sha256: str | None = None  # models of earlier versions have none
    usual: UsualHeart | None = None
    partial: bool | None = None
    pose_sha256: str | None = None  # models that turn no hearts have none
    description_sha256: str | None = None  # models of earlier versions have none


def model_folder(
    model: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """Return the folder with a model's files, after downloading them if necessary.

    Arguments as for :meth:`TrainedModel.from_pretrained`.

    Raises:
        InputError: There is no such model.
    """
    # 1. A folder on this machine, or else a download from the Hub.
    given = Path(model)
    if given == Path(BUILT_IN) and not given.exists():
        return built_in_model()
    if not given.exists() and REPOSITORY.fullmatch(given.as_posix()):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError

        try:
            given = Path(
                snapshot_download(
                    given.as_posix(),
                    revision=revision,
                    token=token,
                    cache_dir=cache_dir,
                    local_files_only=local_files_only,
                    allow_patterns=[_WEIGHTS, _DESCRIPTION, _POSE, CALIBRATION],
                )
            )
        except (OSError, HFValidationError) as error:
            raise InputError(
                f"{given}: no such folder, and no such model on the Hugging Face Hub: "
                f"{' '.join(str(error).split())}"
            ) from error
    # 2. The model itself, or a run that contains it.
    for candidate in (given, given / "model"):
        if (candidate / _DESCRIPTION).exists():
            return candidate
    if (given / "checkpoint.pt").exists():
        raise InputError(
            f"{given}: its training has not finished, so there is no model yet; type vecsetx info "
            f"{given}, which tells how to go on"
        )
    if DataSet.is_at(given):
        raise InputError(
            f"{given}: is a prepared data set, not a model, which comes first; give the folder of "
            f"a run, such as that of vecsetx train {given} --out run/"
        )
    if not given.exists():
        raise InputError(f"{given}: no such folder; check the path of the model")
    raise InputError(f"{given}: no trained model (no {_DESCRIPTION}); run vecsetx train")


def read_structures(folder: Path) -> tuple[str, ...]:
    """Read the names of a model's structures without loading its weights.

    Args:
        folder: The model's folder or its run's folder.

    Raises:
        InputError: There is no model, or its description is damaged or has another schema.
    """
    return _read_description(model_folder(folder) / _DESCRIPTION).structures


def read_spec(model: str | Path) -> ModelSpec:
    """Read a model's size and architecture without loading its weights.

    Args:
        model: As for :meth:`TrainedModel.from_pretrained`.

    Raises:
        InputError: As :func:`read_structures`.
    """
    return _read_description(model_folder(model) / _DESCRIPTION).model


def _read_description(path: Path) -> _Description:
    try:
        data = read_json(path)
    except (OSError, PlainDataError) as error:
        raise InputError(
            f"{path}: cannot be read as a model's description: {error}; save the model again"
        ) from error
    schema = data.get("schema") if isinstance(data, dict) else None
    check_schema(path, schema, SCHEMA, "train the model again")
    try:
        found = validated(validator(_Description), data)
    except PlainDataError as error:
        raise InputError(f"{path}: damaged model: {error}") from error
    _check_description(path, data)
    if found.usual and (unknown := found.usual.unknown_names(found.structures)):
        raise InputError(f"{path}: damaged model: usual: no structures {sorted(unknown)}")
    return found


def _check_description(path: Path, content: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` if a description is not the one that was saved."""
    # Weights under the names of other structures would give a wrong heart without an error.
    if content.get(_HASH) is None:
        _log.warning(
            "%s: saved by an earlier VecSetX without a hash of itself, so damage would not be "
            "noticed; save the model again",
            path,
        )
    elif content[_HASH] != hash_of(content, _HASH):
        raise InputError(
            f"{path}: damaged model: the description is not the one that was saved (its hash "
            "differs); copy the model's folder again, or train the model again"
        )


def _read_text(path: Path) -> str | None:
    """Return a file's text, even if it is damaged: its readers validate it. None for no file."""
    check_no_device(path)
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
