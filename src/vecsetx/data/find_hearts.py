"""Finding hearts: the files and folders that a user names become sources, each with a name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from vecsetx.anatomy.label_sets import LabelSet, every_structure
from vecsetx.anatomy.label_sets import label_set as named_label_set
from vecsetx.anatomy.structures import WHOLE_HEART, find_structure
from vecsetx.data.sources import (
    HeartSource,
    LabelMapSource,
    MasksSource,
    MeshesSource,
    NpzSource,
    PointsSource,
    SamplesSource,
)
from vecsetx.errors import InputError
from vecsetx.formats.folders import SAMPLES_ENDING, stem, visible
from vecsetx.formats.images import is_image
from vecsetx.formats.meshes import is_mesh
from vecsetx.formats.nifti_pairs import header_beside
from vecsetx.formats.nnunet import (
    nnunet_around,
    nnunet_label_maps,
    nnunet_label_set,
    with_dropped_names,
)
from vecsetx.formats.points import POINTS_ENDINGS
from vecsetx.limits import VOXELS
from vecsetx.manifest.recording import note_files
from vecsetx.names import check_name

_SEGMENTATIONS = "segmentations"
"""Subfolder of a heart's folder in which TotalSegmentator's data sets keep the masks."""

_SAMPLES: dict[str, type[HeartSource]] = {".npz": NpzSource, SAMPLES_ENDING: SamplesSource}


def find_hearts(
    inputs: Sequence[Path],
    label_set: LabelSet | None = None,
    space: str = "lps",
    units: str = "mm",
    usual: LabelSet | None = None,
    trust_names: bool = False,
    unsafe: dict[Path, str] | None = None,
    most_voxels: int = VOXELS,
) -> dict[str, HeartSource]:
    """Heart name → source, sorted by name.

    An input is a label map, samples (a prepared heart's ``.safetensors``, or ``.npz``), labelled
    points (``.csv``, ``.vtp``, ``.ply``), or a folder: an nnU-Net data set; one heart, as masks or
    meshes named after their structures; hearts as files; or hearts as folders of masks or meshes,
    or with one label map each.
    The name of the file or folder becomes the heart's name. Hidden files are ignored. Only file
    names and an nnU-Net data set's ``dataset.json`` are read.

    Args:
        inputs: Files and folders.
        label_set: The structures that ids and file names stand for. None: what an nnU-Net data set
            describes; what a label map's own names or ids say, once it is read
            (:meth:`HeartSource.resolved`); the usual label set elsewhere, or without one, all
            structures for files named after them.
        space: Axes of meshes and points, ``lps`` or ``ras``, unless their files name them.
        units: Unit of their coordinates, a key of :data:`~vecsetx.anatomy.size.UNITS_MM`.
        usual: The model's label set, for files that do not say otherwise; None: ``default``.
        trust_names: Whether structures keep their names where anatomy contradicts them.
        unsafe: Receives path → reason, for hearts whose names are unsafe, which are left out. None:
            such a name is an error.
        most_voxels: Most voxels of a label map.

    Raises:
        InputError: An input does not exist or holds no heart, a folder holds several kinds of
            hearts, two hearts from different places have the same name, or a name is unsafe.
    """
    hearts: dict[str, HeartSource] = {}
    check_there(inputs)
    # Paths travel to workers, whose current folder may be another.
    everything = (given.absolute() for given in inputs)
    found = (_sources(given, label_set, space, usual) for given in everything)
    for heart in chain.from_iterable(found):
        if reason := _unsafe(heart):
            if unsafe is None:
                raise InputError(reason)
            unsafe[heart.path] = reason
            continue
        other = hearts.setdefault(heart.name, heart)
        if other.path.resolve() != heart.path.resolve():
            raise InputError(f"{heart.path}: {other.path} has the same name; rename one of the two")
    note_files(lambda: chain.from_iterable(map(_files, hearts.values())))
    return {
        name: replace(
            heart,
            units=units,
            of_model=usual is not None,
            trust_names=trust_names,
            most_voxels=most_voxels,
        )
        for name, heart in sorted(hearts.items())
    }


def check_there(inputs: Iterable[Path]) -> None:
    """Check that files and folders exist, before a command does anything that takes long.

    Raises:
        InputError: One does not.
    """
    for given in inputs:
        if not given.exists():
            what = "no such file or folder"
            if given.is_symlink():
                what = f"a link to {given.readlink()}, which does not exist"
            raise InputError(f"{given.absolute()}: {what}")


def _files(heart: HeartSource) -> tuple[Path, ...]:
    """Return a heart's files; none if they cannot be found, which whoever reads them says."""
    try:
        return heart.files()
    except (InputError, OSError):
        return ()


def _unsafe(heart: HeartSource) -> str | None:
    """Return why a heart's name, or the path that data sets record, is unsafe; else None."""
    try:
        check_name(heart.name)
        str(heart.path).encode()
    except UnicodeEncodeError:
        return f"{str(heart.path)!a}: its path has bytes that are no UTF-8; rename its folder"
    except ValueError as error:
        return f"{str(heart.path)!a}: {error}; rename it"
    return None


def _sources(
    given: Path, labels: LabelSet | None, space: str, usual: LabelSet | None
) -> Iterator[HeartSource]:
    known, chosen = labels or usual or named_label_set("default"), labels is not None
    whole = nnunet_around(given)
    if whole and not chosen:
        known, chosen = nnunet_label_set(whole), True
    elif whole and known.drop_names:
        known = with_dropped_names(whole, known)
    if not given.is_dir():
        files = [header_beside(given) or given]
    elif whole == given:
        files = nnunet_label_maps(given)
    else:
        named = labels or usual or every_structure()
        yield from _in_folder(given, known, named, space, chosen)
        return
    for file in files:
        yield _of_file(file)(stem(file), file, known, space, chosen=chosen)


def _in_folder(
    given: Path, labels: LabelSet, named: LabelSet, space: str, chosen: bool
) -> Iterator[HeartSource]:
    """Yield the hearts in a folder; files named after structures get the label set ``named``."""
    # 1. The folder is one heart.
    folder = _masks_of(given)
    entries = visible(folder)
    if source := _of_folder(entries):
        yield source(_name_of_folder(folder), folder, named, space, chosen=chosen)
        return
    # 2. Otherwise it holds hearts, all as files or all as folders.
    # A link to a file that is missing must fail, not be skipped.
    present = [f for f in entries if f.is_file() or (f.is_symlink() and not f.exists())]
    files = [f for f in present if is_image(f) or f.suffix.lower() in _SAMPLES]
    folders = [_masks_of(f) for f in entries if f.is_dir()]
    found = {f: _of_folder(visible(f)) for f in folders}
    usual = Counter(source for source in found.values() if source).most_common(1)
    alone = {} if files or usual else _single_images(folders)
    if files and usual:
        raise InputError(
            f"{folder}: holds hearts as files ({files[0].name}) and as folders; give one of the two"
        )
    for sub, file in alone.items():
        yield LabelMapSource(_name_of_folder(sub), file, labels, space, chosen=chosen)
    if not (files or usual or alone):
        raise InputError(
            f"{folder}: holds no hearts; give label maps (.nii.gz, .nrrd, .mha …), or one folder "
            "per heart with a mask or mesh per structure, named as in LV.nii.gz or LV.vtp"
            + _images_below(folders)
        )
    for file in files:
        yield _of_file(file)(stem(file), file, labels, space, chosen=chosen)
    # Among folders with hearts, one that does not look like a heart must fail, not be skipped.
    for sub in folders if usual else ():
        yield (found[sub] or usual[0][0])(_name_of_folder(sub), sub, named, space, chosen=chosen)


def _single_images(folders: Iterable[Path]) -> dict[Path, Path]:
    """Folder → its only image, if every folder has just one: a label map of each patient."""
    images = {sub: [f for f in visible(sub) if is_image(f)] for sub in folders}
    if any(len(found) != 1 for found in images.values()):
        return {}
    return {sub: found[0] for sub, found in images.items()}


def _images_below(folders: Iterable[Path]) -> str:
    """Say how to give the label maps in a folder's subfolders; empty if there are no images."""
    images = (f for sub in folders for f in visible(sub) if is_image(f))
    if (first := next(images, None)) is None:
        return ""
    return (
        f". Its subfolders hold images, such as {first.parent.name}/{first.name}: give those that "
        f"are label maps as files, as in {first.parent.parent}/*/*"
    )


def _masks_of(folder: Path) -> Path:
    """The folder with a heart's files: its subfolder ``segmentations``, if there is one."""
    inner = folder / _SEGMENTATIONS
    return inner if inner.is_dir() else folder


def _name_of_folder(folder: Path) -> str:
    full = folder.resolve()
    return full.parent.name if full.name == _SEGMENTATIONS else full.name


def _of_file(path: Path) -> type[HeartSource]:
    """The kind of source that a file is, by its ending."""
    ending = path.suffix.lower()
    if is_image(path):
        return LabelMapSource
    if ending in _SAMPLES:
        return _SAMPLES[ending]
    if ending in POINTS_ENDINGS:
        return PointsSource
    if is_mesh(path):
        raise InputError(
            f"{path}: one mesh is not a heart; give the folder with all its structures"
        )
    raise InputError(
        f"{path}: is none of the known inputs; give label maps (.nii, .nii.gz, .hdr/.img, .nrrd, "
        ".nhdr, .mha, .mhd, .dcm), labelled points (.csv, .vtp, .ply), samples (.safetensors, "
        ".npz) or a folder"
    )


def _of_folder(entries: Sequence[Path]) -> type[HeartSource] | None:
    """The kind of source that a folder with these entries is; None if it is not one heart.

    One mesh named after a structure makes a heart of meshes, one image a heart of masks, unless it
    could be a label map of all (``heart.nii.gz``).
    """
    named = {f: find_structure(stem(f)) for f in entries}
    if any(is_mesh(f) for f in entries if named[f]):
        return MeshesSource
    is_heart = any(is_image(f) for f in entries if named[f] not in (None, WHOLE_HEART))
    return MasksSource if is_heart else None
