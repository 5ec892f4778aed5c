"""Variants of a data set's hearts: other samples of the same patient, to train on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.progress import counted_parts
from vecsetx.sampling.origin import Origin
from vecsetx.sampling.sampler import SamplingSpec, options_of, sample_heart
from vecsetx.sampling.samples import Samples, SamplesFile, write_samples
from vecsetx.variation.variant import VariationSpec, vary

__all__ = ["VariantTask", "write_variants"]


@dataclass(frozen=True, slots=True)
class VariantTask:
    """A heart of which variants are wanted.

    Attributes:
        dataset: The data set; of its hearts, only this one is needed.
        heart: The heart.
        count: Number of variants.
        seed: Seed of the variants; the heart's name and a variant's number add to it.
        spec: How much they differ from the heart.
    """

    dataset: DataSet
    heart: HeartEntry
    count: int
    seed: int
    spec: VariationSpec


def write_variants(task: VariantTask) -> int:
    """Sample the variants of a heart that are not there already.

    Returns:
        The number of variants that were sampled now.

    Raises:
        InputError: The heart's files are missing, have changed, or give no volumes.
    """
    dataset, heart = task.dataset, task.heart
    source, wanted = source_of(dataset, heart), _wanted(dataset, heart)
    options = {number: _options(task, wanted, number) for number in range(1, task.count + 1)}
    missing = {
        number: of_it
        for number, of_it in options.items()
        if not _is_current(dataset.folder / heart.variant_file(number), task, of_it)
    }
    if not missing:
        return 0
    if not source.has_volume:
        raise InputError(
            f"{source.path}: holds points, of which no variants can be made; give a label map"
        )
    if (sha256 := source.sha256()) != heart.sha256:
        raise InputError(
            f"{source.path}: has changed since heart {heart.name} was prepared (hash "
            f"{sha256[:8]}, not {heart.sha256[:8]}); run vecsetx prepare again"
        )
    label_map = source.segmentation(wanted).label_map
    for number, of_it in counted_parts(list(missing.items()), "variant"):
        generator = np.random.default_rng([task.seed, number, *heart.name.encode()])
        variant = vary(label_map, wanted, task.spec, generator)
        shown = None if variant.shown is None else Geometry.of_label_map(variant.shown, len(wanted))
        samples = sample_heart(
            Geometry.of_label_map(variant.heart, len(wanted)),
            _origin(source, number),
            wanted,
            _sampling(dataset),
            task.seed,
            shown,
        )
        write_samples(_with_options(samples, of_it), dataset.folder / heart.variant_file(number))
    return len(missing)


def _wanted(dataset: DataSet, heart: HeartEntry) -> tuple[str, ...]:
    """The structures that were wanted of the heart itself."""
    wanted = dataset.open(heart).info.options.get("wanted")
    known = set(LabelSet.from_dict(dataset.label_sets[heart.label_set], heart.name).structures)
    if not isinstance(wanted, list) or not wanted or not set(wanted) <= known:
        raise InputError(
            f"{dataset.folder / heart.file}: does not say which structures were wanted; run "
            "vecsetx prepare again"
        )
    return tuple(wanted)


def _sampling(dataset: DataSet) -> SamplingSpec:
    names = {field.name for field in fields(SamplingSpec)}
    return SamplingSpec(**{key: value for key, value in dataset.options.items() if key in names})


def _options(task: VariantTask, wanted: tuple[str, ...], number: int) -> dict[str, Any]:
    """What decides the samples of a variant, beside its heart's files and the seed."""
    own = {"variation": asdict(task.spec), "variant": number}
    return options_of(_sampling(task.dataset), wanted) | own


def _is_current(path: Path, task: VariantTask, options: Mapping[str, Any]) -> bool:
    """Whether a variant's file is there, and was made from the same heart with the same options."""
    try:
        info = SamplesFile(path).info if path.exists() else None
    except InputError:  # damaged, or of an earlier version: it is made again
        return False
    made_from = info and (info.version, info.seed, info.sha256, info.options)
    return made_from == (__version__, task.seed, task.heart.sha256, options)


def _origin(source: HeartSource, number: int) -> Origin:
    """The heart's origin, with the variant's own name, by which its points differ."""
    origin = source.origin()
    return replace(origin, name=f"{origin.name}-{number}")


def _with_options(samples: Samples, options: dict[str, Any]) -> Samples:
    return replace(samples, info=replace(samples.info, options=options))
