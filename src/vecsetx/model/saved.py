"""Trained models as files: weights in safetensors, everything else in JSON.

They lie in a folder, or in a repository of the Hugging Face Hub. The Hub's own ``ModelHubMixin``
is not used: it assigns to instances, which frozen dataclasses forbid, writes a ``config.json`` and
a model card into every saved folder, and finds no model offline where that ``config.json`` is not.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from pydantic import ConfigDict, PositiveFloat, PositiveInt, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from vecsetx.anatomy.structures import LabelSet
from vecsetx.errors import InputError
from vecsetx.files import write_json, write_text, written_whole
from vecsetx.model.heart_field import HeartField
from vecsetx.model.vecset import ModelSpec, VecSetAutoEncoder
from vecsetx.sampling.sampler import Observation

SCHEMA = 2
"""Version of ``model.json``; a reader refuses any other."""

CALIBRATION = "calibration.json"
"""What ``vecsetx calibrate`` writes beside a model. It goes where the model goes."""

_WEIGHTS, _DESCRIPTION = "model.safetensors", "model.json"

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model and what is needed to use it.

    Attributes:
        network: The autoencoder.
        structures: Names of its K structures.
        label_set: The label set of its training data, the default for its inputs.
        mm_per_unit: Scale of its frames.
        truncation: Units up to which its distances are reliable.
        points: Surface points that it was shown of each heart.
        provenance: What it was trained from, as plain data.
        calibration: Content of its :data:`CALIBRATION` as it was read; None if it has none.
    """

    network: VecSetAutoEncoder
    structures: tuple[str, ...]
    label_set: LabelSet
    mm_per_unit: float
    truncation: float
    points: int
    provenance: Mapping[str, Any]
    calibration: str | None = None

    def encode(self, observation: Observation, latents: int | None = None) -> HeartField:
        """Encode what is observed of a heart; see :meth:`HeartField.encode`.

        Returns:
            The heart as a field, whose ``distances_mm`` answers any number of points, in chunks.

        Raises:
            InputError: Learned queries are to change their number.
        """
        spec = self.network.spec
        if latents and spec.queries == "learnable" and latents != spec.latents:
            raise InputError(
                f"{latents} latents: this model's {spec.latents} queries are learned; only models "
                "whose queries are surface points can change their number"
            )
        return HeartField.encode(
            self.network, self.structures, observation, self.truncation, latents
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write weights, description and calibration into a folder, each file whole or not."""
        folder = Path(folder)
        weights = {name: t.contiguous() for name, t in self.network.state_dict().items()}
        with written_whole(folder / _WEIGHTS) as unfinished:
            unfinished.write_bytes(save(weights))  # save_file hides why a disk refuses
        description = _Description(
            schema=SCHEMA,
            model=self.network.spec,
            structures=self.structures,
            label_set=self.label_set.to_dict(),
            mm_per_unit=self.mm_per_unit,
            truncation=self.truncation,
            points=self.points,
            provenance=dict(self.provenance),
        )
        write_json(folder / _DESCRIPTION, asdict(description))
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
        """Read a saved model for evaluation on the CPU.

        Args:
            model: Its folder, or the run's. Where there is no such folder, ``owner/name`` is a
                repository of the Hugging Face Hub. A folder never needs the network.
            revision: Branch, tag or commit of the repository.
            token: For the Hub; None for the one that its login left on this machine.
            cache_dir: Where downloads are kept; None for the Hub's usual place.
            local_files_only: Take a repository from the downloads, and do not ask the Hub.

        Raises:
            InputError: There is no model, or it is damaged or of another schema.
        """
        folder = model_folder(
            model,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
        )
        path = folder / _DESCRIPTION
        description = _describe(path)
        try:
            network = description.model.build(len(description.structures))
            network.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise InputError(f"{folder}: damaged model: {error}") from error
        return cls(
            network.eval(),
            description.structures,
            LabelSet.from_dict(description.label_set, str(path)),
            description.mm_per_unit,
            description.truncation,
            description.points,
            description.provenance,
            _text_of(folder / CALIBRATION),
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

        Its provenance and its calibration go with it, the names of the hearts that it was trained
        and measured on included: see that these identify no patient.

        Args:
            repository: ``owner/name``; created if it does not exist.
            private: Whether a repository that is created is private.
            branch: The branch, which must exist; None for ``main``.
            token: None for the one that the Hub's login left on this machine.
            commit_message: Of the commit that the upload makes.

        Returns:
            The commit's address.
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


@dataclass(frozen=True, slots=True)
class _Description:
    """What ``model.json`` holds, by its names there. Names that it does not know are refused."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    schema: int
    model: ModelSpec
    structures: tuple[str, ...]
    label_set: dict[str, Any]
    mm_per_unit: PositiveFloat
    truncation: PositiveFloat
    points: PositiveInt
    provenance: dict[str, Any]


_ADAPTER = TypeAdapter(_Description)


def model_folder(
    model: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder with a model's files, downloaded if need be; see :meth:`from_pretrained`.

    Raises:
        InputError: There is no model there.
    """
    given = Path(model)
    if not given.exists() and _REPOSITORY.fullmatch(given.as_posix()):
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
                    allow_patterns=[_WEIGHTS, _DESCRIPTION, CALIBRATION],
                )
            )
        except (OSError, HFValidationError) as error:
            raise InputError(
                f"{given}: no such folder, and no such model on the Hugging Face Hub: {error}"
            ) from error
    for candidate in (given, given / "model"):
        if (candidate / _DESCRIPTION).exists():
            return candidate
    raise InputError(f"{given}: no trained model (no {_DESCRIPTION}); run vecsetx train")


def read_structures(folder: Path) -> tuple[str, ...]:
    """Names of a model's structures, without loading its weights. Raises as loading it would."""
    return _describe(model_folder(folder) / _DESCRIPTION).structures


def _describe(path: Path) -> _Description:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a model's description: {error}") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{path}: schema {schema}, this version reads {SCHEMA}")
    try:
        return _ADAPTER.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"])
        raise InputError(f"{path}: damaged model: {where}: {first['msg']}") from error


def _text_of(path: Path) -> str | None:
    """A file's content, however damaged; None if there is none. It is for others to judge."""
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None


def parameter_count(network: torch.nn.Module) -> int:
    """Number of trained weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def weights_sha256(network: torch.nn.Module) -> str:
    """Hash of a network's weights: one that was trained on is another."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
