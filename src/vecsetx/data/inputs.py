"""Finding hearts: files and folders named by the user become named sources."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.anatomy.label_sets import label_set as named_label_set
from vecsetx.anatomy.structures import find_structure
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.errors import InputError
from vecsetx.formats.images import is_image
from vecsetx.formats.meshes import is_mesh
from vecsetx.formats.nnunet import is_nnunet, nnunet_label_maps, nnunet_label_set
from vecsetx.formats.points import POINTS_ENDINGS
from vecsetx.formats.source import SAMPLES_ENDING, HeartSource, Kind, stem, visible

_SEGMENTATIONS = "segmentations"
"""Folder within a heart's own that TotalSegmentator's data sets keep its masks in."""

_SAMPLES: dict[str, Kind] = {".npz": "npz", SAMPLES_ENDING: "samples"}


def find_hearts(
    inputs: Sequence[Path], label_set: LabelSet | None = None, space: str = "lps"
) -> dict[str, HeartSource]:
    """Heart name → where the heart comes from, sorted by name.

    An input is a label map, samples (a prepared heart's ``.safetensors``, or ``.npz``), labelled
    points (``.csv``, ``.vtp``, ``.ply``), or a folder: an nnU-Net data set; one heart, as masks or
    meshes called as its structures; hearts as files; or hearts as folders of masks or meshes. A
    heart is called as its file or folder is. Hidden files are passed over. Nothing is read but
    names and ``dataset.json``.

    Args:
        inputs: Files and folders.
        label_set: What ids and file names mean; None for what an nnU-Net data set says of itself,
            and the label set ``default`` elsewhere.
        space: Axes of meshes and points, ``lps`` or ``ras``, where their files do not say.

    Raises:
        InputError: An input does not exist or holds no heart, a folder holds several kinds of
            hearts, or two hearts from different places would have one name.
    """
    hearts: dict[str, HeartSource] = {}
    everything = (given.absolute() for given in inputs)  # other machines have other folders
    for heart in (source for given in everything for source in _sources(given, label_set, space)):
        other = hearts.setdefault(heart.name, heart)
        if other.path.resolve() != heart.path.resolve():
            raise InputError(f"{heart.path}: {other.path} has the same name; rename one of the two")
    return dict(sorted(hearts.items()))


def source_of(dataset: DataSet, heart: HeartEntry) -> HeartSource:
    """Where a heart of a prepared data set comes from."""
    label_set = LabelSet.from_dict(dataset.label_sets[heart.label_set], str(dataset.folder))
    kind = cast(Kind, heart.kind)
    return HeartSource(heart.name, Path(heart.source), kind, label_set, heart.space)


def patients_of(names: Sequence[str], group_by: str | None) -> dict[str, str]:
    """Heart name → patient.

    Args:
        names: The hearts' names.
        group_by: A regular expression; what its first group (or, without groups, the whole
            expression) matches in a name is the patient. None: every heart is a patient of its own.

    Raises:
        InputError: The expression is invalid or does not match a name.
    """
    if group_by is None:
        return {name: name for name in names}
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(f"--group-by {group_by!r}: no regular expression: {error}") from error
    patients = {}
    for name in names:
        match = pattern.search(name)
        patient = match and match[1 if pattern.groups else 0]
        if not patient:
            raise InputError(f"--group-by {group_by!r}: finds no patient in heart {name!r}")
        patients[name] = patient
    return patients


def _sources(given: Path, labels: LabelSet | None, space: str) -> Iterator[HeartSource]:
    if not given.exists():
        raise InputError(f"{given}: no such file or folder")
    if not given.is_dir():
        files, known = [given], labels or named_label_set("default")
    elif is_nnunet(given):
        files, known = nnunet_label_maps(given), labels or nnunet_label_set(given)
    else:
        yield from _in_folder(given, labels or named_label_set("default"), space)
        return
    for file in files:
        yield HeartSource(stem(file), file, _kind_of_file(file), known, space)


def _in_folder(given: Path, labels: LabelSet, space: str) -> Iterator[HeartSource]:
    folder = _masks_of(given)
    entries = visible(folder)
    if kind := _kind_of_folder(entries):
        yield HeartSource(_name_of_folder(folder), folder, kind, labels, space)
        return
    files = [f for f in entries if f.is_file() and (is_image(f) or f.suffix.lower() in _SAMPLES)]
    folders = [_masks_of(f) for f in entries if f.is_dir()]
    kinds = {f: _kind_of_folder(visible(f)) for f in folders}
    usual = Counter(kind for kind in kinds.values() if kind).most_common(1)
    if files and usual:
        raise InputError(
            f"{folder}: holds hearts as files ({files[0].name}) and as folders; give one of the two"
        )
    if not (files or usual):
        raise InputError(
            f"{folder}: holds no hearts; give label maps (.nii.gz, .nrrd, .mha …), or one folder "
            "per heart with a mask or mesh per structure, called as in LV.nii.gz or LV.vtp"
        )
    for file in files:
        yield HeartSource(stem(file), file, _kind_of_file(file), labels, space)
    # A folder among hearts that looks like none is a heart that fails, not one passed over.
    for sub in folders if usual else ():
        yield HeartSource(_name_of_folder(sub), sub, kinds[sub] or usual[0][0], labels, space)


def _masks_of(folder: Path) -> Path:
    inner = folder / _SEGMENTATIONS
    return inner if inner.is_dir() else folder


def _name_of_folder(folder: Path) -> str:
    full = folder.resolve()
    return full.parent.name if full.name == _SEGMENTATIONS else full.name


def _kind_of_file(path: Path) -> Kind:
    if is_image(path):
        return "label map"
    if kind := _SAMPLES.get(path.suffix.lower()):
        return kind
    if path.suffix.lower() in POINTS_ENDINGS:
        return "points"
    if is_mesh(path):
        raise InputError(f"{path}: one mesh is no heart; give the folder with all its structures")
    raise InputError(
        f"{path}: is none of the inputs known: label maps (.nii, .nii.gz, .nrrd, .nhdr, .mha, "
        ".mhd), labelled points (.csv, .vtp, .ply), samples (.safetensors, .npz) or a "
        "folder"
    )


def _kind_of_folder(entries: Sequence[Path]) -> Kind | None:
    """What a folder is, if it is one heart: two masks or one mesh called as structures make one."""
    called = [f for f in entries if find_structure(stem(f))]
    if any(is_mesh(f) for f in called):
        return "meshes"
    return "masks" if sum(is_image(f) for f in called) > 1 else None
