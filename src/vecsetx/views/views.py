"""The views of one heart: label maps of a few slices each, read as one set of slices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import LabelMapSource
from vecsetx.errors import InputError
from vecsetx.formats.folders import stem
from vecsetx.formats.label_maps import read_label_map
from vecsetx.limits import VOXELS
from vecsetx.views.contours import contours_of
from vecsetx.views.names import check_names
from vecsetx.views.sides import check_sides
from vecsetx.views.slices import Slice, slices_of

__all__ = ["Views", "find_views", "read_views"]

_NO_SPACING = "1 mm is assumed"
"""Words of the remark on an image whose header gives no spacing."""


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one heart.

    Attributes:
        paths: Their files.
        slices: Slices of all views that show anything.
        remarks: Notes for the user, as sentences.
    """

    paths: tuple[Path, ...]
    slices: tuple[Slice, ...]
    remarks: tuple[str, ...]


def find_views(
    inputs: Sequence[Path],
    label_sets: Sequence[LabelSet],
    usual: LabelSet,
    most_voxels: int = VOXELS,
    option: str = "--one-heart",
    trust_names: bool = False,
) -> tuple[LabelMapSource, ...]:
    """Return the label maps that users name, in their order.

    Args:
        inputs: Label maps, and folders of them.
        label_sets: What their ids stand for: one label set for all, or one per label map in the
            order of the result; none: what each file says.
        usual: The model's label set.
        most_voxels: Most voxels of a label map.
        option: The option that asks for them, for messages.
        trust_names: Whether structures keep their names where anatomy contradicts them.

    Raises:
        InputError: A file does not exist, is no label map, or is given twice; or there are several
            label sets, but not one per label map.
    """
    views = _found(inputs, label_sets[0] if label_sets else None, usual, most_voxels, option)
    views = tuple(replace(view, trust_names=trust_names) for view in views)
    if len(label_sets) < 2:
        return views
    if len(label_sets) != len(views):
        names, paths = (one.name for one in label_sets), (str(one.path) for one in views)
        raise InputError(
            f"--labels {','.join(names)}: {len(label_sets)} label sets for {len(views)} "
            f"view{'s' if len(views) > 1 else ''} ({', '.join(paths)}); give one label set for "
            "all, or one per view, in this order"
        )
    return tuple(
        replace(view, label_set=own, chosen=True)
        for view, own in zip(views, label_sets, strict=True)
    )


def _found(
    inputs: Sequence[Path],
    label_set: LabelSet | None,
    usual: LabelSet,
    most_voxels: int,
    option: str,
) -> tuple[LabelMapSource, ...]:
    """Return the label maps that users name, all with the same label set."""
    found: dict[Path, LabelMapSource] = {}
    for given in inputs:  # one by one: files of the same name may lie in different folders
        sources = find_hearts([given], label_set, usual=usual, most_voxels=most_voxels)
        for source in sources.values():
            if not isinstance(source, LabelMapSource):
                raise InputError(
                    f"{source.path}: {option} takes label maps, and this is of kind "
                    f"{source.kind}; give label maps, or leave {option} out"
                )
            if source.path.resolve() in found:
                raise InputError(
                    f"{source.path}: is given twice, and a view counts once; leave one of them out"
                )
            found[source.path.resolve()] = source
    return tuple(found.values())


def read_views(sources: Sequence[LabelMapSource], structures: tuple[str, ...]) -> Views:
    """Read the slices of all views.

    Args:
        sources: The views.
        structures: Names of the K structures.

    Raises:
        InputError: A view cannot be read, shows none of the structures, is a volume, or does not
            say where it lies; anatomy contradicts the names of its structures; or all views
            together have a single slice, or are mirrored.
    """
    names, remarks = _names([source.path for source in sources]), list[str]()
    slices: list[Slice] = []
    for number, (name, source) in enumerate(zip(names, sources, strict=True)):
        label_map = _label_map(source, structures)
        remarks += [f"{name}: {remark}" for remark in label_map.remarks]
        own = slices_of(label_map, str(source.path), name, number, len(structures))
        if specks := [one.name for one in own if not _has_outline(one)]:
            remarks.append(f"slices that show specks alone were left out: {', '.join(specks)}")
        slices += filter(_has_outline, own)
    if len(slices) < 2:
        raise InputError(
            f"{', '.join(str(source.path) for source in sources)}: "
            f"{'a single slice' if slices else 'no slice'} with structures in all, and a heart "
            "needs two at least; give the whole stack, or more views"
        )
    paths = tuple(source.path for source in sources)
    trust = any(source.trust_names for source in sources)
    remarks += check_sides(slices, structures, paths, trust)
    return Views(paths, tuple(slices), tuple(remarks))


def _has_outline(one: Slice) -> bool:
    return len(contours_of([one]).points_mm) > 0


def _names(paths: Sequence[Path]) -> list[str]:
    """Return how slices name their views: by the file, and by its folder where that is needed."""
    for names in ([stem(path) for path in paths], [_with_folder(path) for path in paths]):
        if max(Counter(names).values()) == 1:
            return names
    return [str(path) for path in paths]


def _with_folder(path: Path) -> str:
    return f"{path.parent.name}/{stem(path)}"


def _label_map(source: LabelMapSource, structures: tuple[str, ...]) -> LabelMap:
    """Read a view with labels 1…K."""
    found = source.resolved()
    label_set, path = found.label_set, found.path
    by_name = bool(label_set.drop_names)
    stored = found.stored or read_label_map(
        path, names_matter=by_name, most_voxels=found.most_voxels
    )
    if stored.sides_guessed or any(_NO_SPACING in remark for remark in stored.remarks):
        raise InputError(
            f"{path}: its header does not say where its slices lie (spacing or orientation is "
            "missing), so they cannot be put beside other views; export it again with its affine"
        )
    if stored.names and by_name:
        stored = stored.without(stored.names.dropped_by(label_set))
    label_map = stored.to_structures(label_set, structures, str(path))
    if label_map.unknown is not None:
        raise InputError(
            f"{path}: has ids that label set {label_set.name} ignores, {sorted(label_set.ignore)}, "
            "and a slice is known as a whole; set them to 0, or give another --labels"
        )
    return check_names(label_map, stored, label_set, path, found.trust_names)
