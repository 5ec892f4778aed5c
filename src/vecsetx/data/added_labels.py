"""Hearts added to a data set that was prepared with one label set: it holds for them, too."""

from dataclasses import replace

from vecsetx.anatomy.label_sets import LabelSet
from vecsetx.data.heart_source import HeartSource
from vecsetx.data.volume_sources import LabelMapSource
from vecsetx.errors import InputError

__all__ = ["read_as_in_data_set"]


def read_as_in_data_set(source: HeartSource, usual: LabelSet) -> HeartSource:
    """Return a new heart's source with the data set's label set.

    Args:
        source: The source, for which the user named no label set.
        usual: The label set that was named for all hearts of the data set.

    Raises:
        InputError: The heart's own names, its ids and anatomy, or its nnU-Net data set say that its
            ids mean something else.
    """
    try:
        own = source.resolved()
    except InputError:
        # Names that are no structures contradict nothing, and a damaged file fails when it is read.
        return replace(source, label_set=usual, chosen=True)
    ids = list(own.label_set.ids)
    if isinstance(own, LabelMapSource) and own.stored:
        ids = own.stored.present()
    meant = {i: own.label_set.ids.get(i, "no structure") for i in ids if i in usual.ids}
    if differing := {i: name for i, name in meant.items() if name != usual.ids[i]}:
        theirs = ", ".join(f"{i} {name}" for i, name in differing.items())
        ours = ", ".join(f"{i} {usual.ids[i]}" for i in differing)
        raise InputError(
            f"{source.path}: its ids are {theirs}, but {ours} in label set {usual.name}, with "
            "which the data set was prepared; type --labels with the label set that is right for "
            "this heart, or with that of the data set to read it so all the same"
        )
    return replace(own, label_set=usual, chosen=True)
