"""``vecsetx prepare``: label maps to a data set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from vecsetx import __version__
from vecsetx.anatomy.labelmap import read_label_map
from vecsetx.anatomy.structures import LabelSet
from vecsetx.data.dataset import DataSet, HeartEntry, split_by_patient
from vecsetx.errors import InputError
from vecsetx.pipeline.cohort import for_each_heart, processes
from vecsetx.pipeline.inputs import find_label_maps, patients_of
from vecsetx.pipeline.progress import console
from vecsetx.sampling.sampler import SamplingSpec, file_hash, sample_file
from vecsetx.sampling.samples import SamplesFile, write_samples


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Choices of a preparation.

    Attributes:
        label_set: What the ids mean.
        structures: Structures to learn; None for those of the label set that occur in the inputs.
        sampling: How each heart is sampled.
        val_share: Share of the patients kept for validation.
        group_by: Regular expression that finds the patient in a heart's name; None: one heart each.
        seed: Seed of split and samples.
        workers: Processes; None for one per core.
    """

    label_set: LabelSet
    structures: tuple[str, ...] | None = None
    sampling: SamplingSpec = field(default_factory=SamplingSpec)
    val_share: float = 0.2
    group_by: str | None = None
    seed: int = 0
    workers: int | None = None


@dataclass(frozen=True, slots=True)
class _Heart:
    name: str
    source: Path


def prepare(
    inputs: Sequence[Path], out: Path, options: PrepareOptions
) -> tuple[DataSet, dict[str, str]]:
    """Prepare label maps for training.

    Hearts whose samples are already there, made from the same file in the same way, are kept as
    they are. Hearts that fail are left out and reported.

    Returns:
        The data set, as written to ``out``, and the failures: heart → reason.

    Raises:
        InputError: The inputs cannot be found or named, or no heart at all can be used.
    """
    if not 0 <= options.val_share <= 1:
        raise InputError(f"--val-share {options.val_share}: a share lies between 0 and 1")
    sources = find_label_maps(inputs)
    patients = patients_of(list(sources), options.group_by)
    hearts = {name: _Heart(name, source) for name, source in sources.items()}
    with processes(options.workers, len(hearts)) as executor:
        scan = for_each_heart(
            "looking at label maps", partial(_ids, label_set=options.label_set), hearts, executor
        )
        if not scan.made:
            raise InputError("\n".join(scan.failed.values()))
        structures = options.structures or _occurring(options.label_set, scan.made)
        sampled = for_each_heart(
            "sampling hearts",
            partial(_prepare_heart, out=out, structures=structures, options=options),
            {name: hearts[name] for name in scan.made},
            executor,
        )
    if not sampled.made:
        raise InputError("\n".join(sampled.failed.values()))
    splits = split_by_patient(list(patients.values()), options.val_share, options.seed)
    entries = [
        HeartEntry(name, patients[name], splits[patients[name]], file, str(sources[name].resolve()))
        for name, file in sampled.made.items()
    ]
    dataset = DataSet(out, structures, options.label_set.to_dict(), options.seed, tuple(entries))
    dataset.write()
    return dataset, scan.failed | sampled.failed


def _ids(heart: _Heart, label_set: LabelSet) -> list[int]:
    """Ids in a heart's label map, all of them known to the label set."""
    label_map = read_label_map(heart.source)
    label_map.named(label_set, label_set.structures, str(heart.source))
    return [int(i) for i in np.unique(label_map.labels)]


def _occurring(label_set: LabelSet, ids: dict[str, list[int]]) -> tuple[str, ...]:
    """The structures of the label set that occur in at least one heart."""
    found = {label_set.ids[i] for present in ids.values() for i in present if i in label_set.ids}
    missing = [name for name in label_set.structures if name not in found]
    if missing:
        console.print(
            f"[yellow]{', '.join(missing)}: in none of the {len(ids)} label maps, taken as not "
            "annotated; name the structures with --structures to have it otherwise[/]"
        )
    return tuple(name for name in label_set.structures if name in found)


def _prepare_heart(
    heart: _Heart, out: Path, structures: tuple[str, ...], options: PrepareOptions
) -> str:
    """Sample one heart; returns its file's name within the data set."""
    file = f"hearts/{heart.name}.safetensors"
    if not _is_current(out / file, heart, structures, options):
        samples = sample_file(
            heart.source, heart.name, options.label_set, structures, options.sampling, options.seed
        )
        write_samples(samples, out / file)
    return file


def _is_current(
    path: Path, heart: _Heart, structures: tuple[str, ...], options: PrepareOptions
) -> bool:
    """Whether a heart's samples are there, made from the same file with the same choices."""
    if not path.exists():
        return False
    try:
        info = SamplesFile(path).info
    except InputError:
        return False  # damaged, or of an older schema: made again
    wanted = (structures, __version__, options.seed, file_hash(heart.source))
    return (
        (info.structures, info.version, info.seed, info.sha256) == wanted
        and info.options == asdict(options.sampling)
        and LabelSet.from_dict(info.label_set, str(path)) == options.label_set
    )
