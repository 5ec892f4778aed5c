"""``--labels`` of views, which may have a label set each."""

from pathlib import Path
from typing import Any

__all__ = ["split_labels"]


def split_labels(labels: str | None) -> tuple[str | None, tuple[Any, ...]]:
    """Return the label set of all inputs, or those of views.

    Args:
        labels: Value of ``--labels``: a name or file, or several with commas between them.

    Returns:
        The name or file if there is only one, else None; and several
        :class:`~vecsetx.anatomy.label_sets.LabelSet`, in their order, else none.

    Raises:
        InputError: One of several cannot be read.
    """
    from vecsetx.anatomy.label_sets import label_set

    if labels is None or "," not in labels or Path(labels).is_file():
        return labels, ()
    return None, tuple(label_set(word.strip()) for word in labels.split(","))
