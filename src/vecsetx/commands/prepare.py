"""``vecsetx prepare``: sample hearts of any kind into a data set for training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from vecsetx._version import __version__
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.cohort.out_folder import written_by_one
from vecsetx.data.added_labels import read_as_in_data_set
from vecsetx.data.annotations import annotation_remarks
from vecsetx.data.dataset import DataSet, FailedHeart, HeartEntry
from vecsetx.data.idle_options import check_idle
from vecsetx.data.own_split import find_split_hearts, given_splits
from vecsetx.data.prepare_options import PrepareOptions, check_place, choices_of, with_those_of
from vecsetx.data.sources import HeartSource
from vecsetx.data.split import Assignment, Split, patients_of, split_by_patient
from vecsetx.errors import InputError
from vecsetx.sampling.sampler import options_of
from vecsetx.sampling.samples import HeartInfo, SamplesFile, write_samples
from vecsetx.terminal.progress_bars import console, steps, waiting, warn
from vecsetx.terminal.remarks import print_remarks
from vecsetx.terminal.table import counted
from vecsetx.workers.for_each import for_each_heart, open_workers

__all__ = ["PrepareOptions", "prepare"]

_MOST_REASONS = 2
"""Number of hearts whose reasons are listed if all of them failed."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A heart to sample, and the data set's heart of the same name, if there is one."""

    source: HeartSource
    known: HeartEntry | None


@dataclass(frozen=True, slots=True)
class _Sampled:
    """A sampled heart.

    Attributes:
        file: Its file, relative to the data set's folder.
        info: The file's description.
        annotated: Structures that its source annotates; None if it does not say.
        is_new: Whether this run sampled it; else its file is of an earlier one.
    """

    file: str
    info: HeartInfo
    annotated: tuple[str, ...] | None
    is_new: bool

    @property
    def label_set(self) -> LabelSet:
        """The label set that it was read with."""
        return LabelSet.from_dict(self.info.label_set, self.info.source)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be prepared.

    Attributes:
        before: The data set to which the hearts are added; None: there is none yet.
        options: The options, as for this data set.
        sources: Heart → source.
        patients: Heart → patient, of the sources.
        splits: Patient → split; None: at random.
        unsafe: Path → reason, of hearts whose names are unsafe.
    """

    before: DataSet | None
    options: PrepareOptions
    sources: Mapping[str, HeartSource]
    patients: Mapping[str, str]
    splits: Mapping[str, Split] | None
    unsafe: Mapping[Path, str]

    @property
    def known(self) -> dict[str, HeartEntry]:
        """The hearts of the data set by name."""
        return {heart.name: heart for heart in self.before.hearts} if self.before else {}


def prepare(
    inputs: Sequence[Path], out: Path, options: PrepareOptions
) -> tuple[DataSet, dict[str, str]]:
    """Prepare hearts for training.

    Existing samples from the same files with the same options are kept. If ``out`` contains a data
    set, the hearts are added to it, and its hearts keep their split and fold. Hearts that fail, or
    that are copies of another heart, are left out, reported, and recorded until they succeed or
    their files are removed.

    Args:
        inputs: Hearts of any kind but labelled points: files, or folders of them.
        out: Folder of the data set.
        options: The options.

    Returns:
        The data set, as written to ``out``; and heart → reason, for hearts that failed.

    Raises:
        InputError: The inputs cannot be found or named, the data set in ``out`` was prepared
            with other options, another run writes into it, or no heart can be used.
    """
    # 1. Find the hearts, and those of an earlier preparation.
    plan = _plan(inputs, out, options)
    options, known = plan.options, plan.known
    if options.labels_taken_over and options.label_set and plan.sources.keys() - known.keys():
        used = f"new hearts are read with its label set {options.label_set.name}"
        console.print(f"{out}: {used}; --labels names another", markup=False, soft_wrap=True)
    with written_by_one(out, "hearts"):
        if _data_set_in(out) != plan.before:
            raise InputError(f"{out}: another run has just written into it; start again")
        tasks = {name: _Task(source, known.get(name)) for name, source in plan.sources.items()}
        # 2. Sample them in parallel.
        with open_workers(options.workers, options.dask) as workers:
            sample = partial(_sample, out=out.resolve(), options=options)
            with steps("sampling hearts", len(tasks), "hearts") as progress:
                outcome = for_each_heart(sample, tasks, workers, progress)
        # 3. Leave out failed hearts, copies, and files that a remote worker wrote elsewhere.
        here = {name: s for name, s in outcome.results.items() if (out / s.file).exists()}
        elsewhere = {
            name: f"{out / outcome.results[name].file}: a worker wrote it, but it is not here; "
            "choose an --out on a file system that all workers share"
            for name in outcome.results.keys() - here.keys()
        }
        others = [heart for name, heart in known.items() if name not in here]
        samples, copies = _unique(here, others)
        unsafe = {str(path): reason for path, reason in plan.unsafe.items()}
        failed = outcome.failed | elsewhere | copies | unsafe
        if not (samples or others):
            raise InputError(_why(list(failed.values())))
        # 4. Remove the copies' files, and write the data set's description.
        for name in copies:
            (out / here[name].file).unlink()
        dataset = replace(_data_set(out, plan, others, samples), failed=_failed(plan, failed))
        dataset.write()
    if kept := sum(not sampled.is_new for sampled in samples.values()):
        console.notice(f"sampled before, and kept: {kept} of {counted(len(samples), 'heart')}")
    print_remarks({name: sampled.info.remarks for name, sampled in samples.items()})
    has = {name: sampled.info.structures for name, sampled in samples.items()}
    for remark in annotation_remarks(dataset, has):
        warn(remark)
    return dataset, dict(sorted(failed.items()))


def _why(reasons: list[str]) -> str:
    """Return the first reasons as lines: as a rule, all hearts fail for the same one."""
    more = len(reasons) - _MOST_REASONS
    others = f"{counted(more, 'other heart')} failed, too" if more > 0 else ""
    return "\n".join(filter(None, [*reasons[:_MOST_REASONS], others]))


@waiting("finding hearts")
def _plan(inputs: Sequence[Path], out: Path, options: PrepareOptions) -> _Plan:
    check_place(inputs, out)
    options.check()
    before = _data_set_in(out)
    options = with_those_of(before, options)
    options.check()
    unsafe: dict[Path, str] = {}
    sources, by_folder = find_split_hearts(inputs, options, unsafe)
    check_idle(sources.values(), space=options.space, units=options.units)
    if before:
        _check_same(before, sources, options)
    patients = patients_of(list(sources), options.group_by)
    splits = given_splits(before, sources, by_folder, patients, options)
    return _Plan(before, options, sources, patients, splits, unsafe)


def _data_set_in(out: Path) -> DataSet | None:
    return DataSet.read(out) if (out / "dataset.json").exists() else None


def _check_same(
    before: DataSet, sources: Mapping[str, HeartSource], options: PrepareOptions
) -> None:
    """Check that the label sets that were chosen are those of the data set."""
    if options.labels_taken_over:
        return
    known = {heart.name: heart.label_set for heart in before.hearts}
    for source in sources.values():
        label_set = source.label_set
        if not source.chosen:
            continue
        if (then := known.get(source.name, label_set.name)) != label_set.name:
            raise InputError(
                f"{before.folder}: its heart {source.name} was read with label set {then}, not "
                f"{label_set.name}; give only the hearts of label set {label_set.name}, or choose "
                "another --out"
            )
        stored = before.label_sets.get(label_set.name)
        rest = known.keys() - sources.keys()  # if all hearts are read again, it may change
        if rest and stored and LabelSet.from_dict(stored, label_set.name) != label_set:
            raise InputError(
                f"{before.folder}: has another label set named {label_set.name}; rename this one"
            )


def _sample(task: _Task, out: Path, options: PrepareOptions) -> _Sampled:
    """Sample one heart, unless its file is current. Runs in a worker."""
    source, known = task.source, task.known
    file = f"hearts/{source.name}.safetensors"
    sha256 = source.sha256()
    if known and sha256 != known.sha256 and str(source.path.resolve()) != known.source:
        raise InputError(
            f"{source.path}: the data set has another heart named {source.name}, from "
            f"{known.source}; rename one of the two"
        )
    source = _resolved(source, out / file, sha256, options)
    wanted = options.structures or source.label_set.structures
    info = _current(out / file, source, wanted, sha256, options)
    if known and info and source.annotated(info.structures) not in (None, known.annotated):
        info = None  # remarks depend on what is known to be absent
    if is_new := info is None:
        samples = source.samples(wanted, options.sampling, options.seed)
        write_samples(samples, out / file)
        info = samples.info
    return _Sampled(file, info, source.annotated(info.structures), is_new)


def _current(
    path: Path,
    source: HeartSource,
    wanted: tuple[str, ...],
    sha256: str,
    options: PrepareOptions,
) -> HeartInfo | None:
    """Return the description of a heart's file, if source and options are still the same."""
    info = _info(path)
    if info is None:
        return None
    is_current = (info.version, info.seed, info.sha256) == (__version__, options.seed, sha256)
    is_current = is_current and info.options == options_of(options.sampling, wanted)
    same_ids = LabelSet.from_dict(info.label_set, str(path)) == source.label_set
    return info if is_current and same_ids else None


def _resolved(source: HeartSource, path: Path, sha256: str, options: PrepareOptions) -> HeartSource:
    """Return the source with its label set, without reading files whose label set is known."""
    usual = options.label_set if options.labels_taken_over else None
    info = None if source.chosen and not usual else _info(path)
    if info and (info.version, info.sha256) == (__version__, sha256):
        known = LabelSet.from_dict(info.label_set, str(path))
        return replace(source, label_set=known, chosen=True)
    return read_as_in_data_set(source, usual) if usual else source.resolved()


def _info(path: Path) -> HeartInfo | None:
    """Return the description of a heart's file; None if it is missing, damaged or too old."""
    try:
        return SamplesFile(path).info if path.exists() else None
    except InputError:
        return None


def _unique(
    samples: Mapping[str, _Sampled], others: Iterable[HeartEntry]
) -> tuple[dict[str, _Sampled], dict[str, str]]:
    """Return hearts that are not copies of another one; and copy → reason for leaving it out."""
    # Equal content means equal voxels, whatever the file is named; the first one stays.
    seen = {heart.content: heart.name for heart in others}
    unique, copies = {}, {}
    for name, sampled in samples.items():
        first = seen.setdefault(sampled.info.content, name)
        if first == name:
            unique[name] = sampled
        else:
            copies[name] = (
                f"{sampled.info.source}: is the same heart as {first}, voxel by voxel, and left "
                "out, so that no heart is both trained on and scored; remove one of the two files"
            )
    return unique, copies


def _data_set(
    out: Path, plan: _Plan, others: Sequence[HeartEntry], samples: Mapping[str, _Sampled]
) -> DataSet:
    before, options = plan.before, plan.options
    label_sets = _label_sets(before, others, samples)
    by_label_set = _annotated(others, samples, options)
    entries = [
        HeartEntry(
            name=name,
            patient=plan.patients[name],
            split="train",  # both are assigned below
            fold=0,
            file=sampled.file,
            kind=sampled.info.kind,
            source=sampled.info.source,
            space=plan.sources[name].space,
            sha256=sampled.info.sha256,
            content=sampled.info.content,
            label_set=sampled.label_set.name,
            annotated=sampled.annotated or by_label_set[sampled.label_set.name],
            version=sampled.info.version,
            units=plan.sources[name].units,
            variants=_variants(plan.known.get(name), sampled),
        )
        for name, sampled in samples.items()
    ]
    # Structures keep their order when hearts are added; new ones come last.
    order = dict.fromkeys(
        [
            *(before.structures if before else ()),
            *(name for data in label_sets.values() for name in data["ids"].values()),
        ]
    )
    hearts = sorted([*others, *entries], key=lambda heart: heart.name)
    annotated = {name for heart in hearts for name in heart.annotated}
    dataset = DataSet(
        folder=out,
        structures=tuple(name for name in order if name in annotated),
        label_sets=dict(sorted(label_sets.items())),
        seed=options.seed,
        val_share=options.val_share,
        folds=options.folds,
        options=asdict(options.sampling),
        hearts=tuple(hearts),
        choices=choices_of(before, options, list(label_sets)),
    )
    # By patient: the hearts of one patient are never both trained on and scored.
    places = split_by_patient(
        [heart.patient for heart in hearts],
        options.val_share,
        options.folds,
        options.seed,
        {heart.patient: Assignment(heart.split, heart.fold) for heart in plan.known.values()},
        plan.splits,
    )
    return dataset.with_assignments(places)


def _variants(known: HeartEntry | None, sampled: _Sampled) -> int:
    """Number of variants that a heart keeps: none if it is another heart than before."""
    return known.variants if known and known.sha256 == sampled.info.sha256 else 0


def _failed(plan: _Plan, failed: Mapping[str, str]) -> tuple[FailedHeart, ...]:
    """Return the hearts that failed now, and those of earlier runs that were not tried again."""
    earlier = plan.before.failed if plan.before else ()
    kept = [one for one in earlier if one.name not in plan.sources and Path(one.source).exists()]
    now = [
        FailedHeart(name, str(plan.sources[name].path if name in plan.sources else name), why)
        for name, why in failed.items()
    ]
    return tuple(sorted([*kept, *now], key=lambda heart: heart.name))


def _label_sets(
    before: DataSet | None, others: Sequence[HeartEntry], samples: Mapping[str, _Sampled]
) -> dict[str, Mapping[str, Any]]:
    """Return the label sets of all hearts by name.

    Raises:
        InputError: Two that differ have the same name.
    """
    used = {name: before.label_sets[name] for name in {h.label_set for h in others} if before}
    label_sets: dict[str, Mapping[str, Any]] = dict(used)
    for sampled in samples.values():
        own = sampled.label_set
        stored = label_sets.setdefault(own.name, own.to_dict())
        if LabelSet.from_dict(stored, own.name) != own:
            raise InputError(
                f"{sampled.info.source}: is read with label set {own.name}, and other hearts of "
                "the data set with a different one of that name; rename one of the two: the YAML "
                "file, or the nnU-Net folder"
            )
    return label_sets


def _annotated(
    others: Sequence[HeartEntry],
    samples: Mapping[str, _Sampled],
    options: PrepareOptions,
) -> dict[str, tuple[str, ...]]:
    """Label set → structures that its label maps annotate: the requested ones, or those found."""
    found: dict[str, set[str]] = {}
    for heart in others:
        found.setdefault(heart.label_set, set()).update(heart.annotated)
    order: dict[str, tuple[str, ...]] = {heart.label_set: heart.annotated for heart in others}
    for sampled in samples.values():
        label_set = sampled.label_set
        order[label_set.name] = label_set.structures
        requested = set(options.structures or ()) & set(label_set.structures)
        found.setdefault(label_set.name, set()).update(requested or sampled.info.structures)
    return {
        key: tuple(name for name in structures if name in found[key])
        for key, structures in order.items()
    }
