"""Check one prepared heart of a cohort, and draw it."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from pydantic import TypeAdapter

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.cohort.identity import plain_prepared
from vecsetx.data.dataset import DataSet
from vecsetx.data.sources import source_of
from vecsetx.errors import InputError
from vecsetx.plain_data import validated
from vecsetx.report.slices import three_slices
from vecsetx.sampling.quality.heart_quality import heart_quality
from vecsetx.sampling.quality.measures import HeartQuality
from vecsetx.sampling.samples import HeartInfo
from vecsetx.workers.heart_work import HeartWork

__all__ = ["Checked", "Checking", "Drawing", "check_heart", "voxels_of"]

_COMPARISON = "labels by distance against the label map"
"""The check that needs the voxels of the source."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is found of one heart.

    Attributes:
        quality: Problems, doubts, remarks and measures.
        info: The description of its samples, for comparisons with other hearts.
    """

    quality: HeartQuality
    info: HeartInfo


@dataclass(frozen=True, slots=True)
class Checking(HeartWork[DataSet, HeartQuality]):
    """Checks prepared hearts; takes data sets of one heart."""

    name: ClassVar[str] = "check"

    def setting(self) -> dict[str, Any]:
        """Return nothing: a check has no options that change it."""
        return {}

    def identity(self, heart: DataSet) -> dict[str, Any]:
        """Return the samples and their source."""
        return plain_prepared(heart)

    def make(self, heart: DataSet) -> HeartQuality:
        """Check the only heart of a data set; see :func:`check_heart`."""
        return check_heart(heart).quality

    def to_record(self, result: HeartQuality) -> Any:
        """Return plain data."""
        return asdict(result)

    def of_record(self, record: Any) -> HeartQuality:
        """Return the quality from plain data."""
        return validated(_QUALITY.validate_python, record)


@dataclass(frozen=True, slots=True)
class Drawing(HeartWork[DataSet, str]):
    """Draws prepared hearts; takes data sets of one heart."""

    name: ClassVar[str] = "check: picture"

    def setting(self) -> dict[str, Any]:
        """Return nothing: a picture has no options."""
        return {}

    def identity(self, heart: DataSet) -> dict[str, Any]:
        """Return the samples and their source."""
        return plain_prepared(heart)

    def make(self, heart: DataSet) -> str:
        """Draw the only heart of a data set; its picture as text for a page."""
        (entry,) = heart.hearts
        label_map, _ = voxels_of(heart)
        return three_slices(heart.open_file(entry.file).read(), label_map)

    def to_record(self, result: str) -> Any:
        """Return the picture."""
        return result

    def of_record(self, record: Any) -> str:
        """Return the picture."""
        return str(record)


def check_heart(alone: DataSet) -> Checked:
    """Check the only heart of a data set.

    Raises:
        InputError: Its samples are missing or damaged.
    """
    (entry,) = alone.hearts
    samples = alone.open_file(entry.file).read()
    label_map, why_not = voxels_of(alone)
    quality = heart_quality(samples, alone.structures, entry.annotated, label_map)
    info = samples.info
    if (info.name, info.content) != (entry.name, entry.content):
        problem = f"{entry.file} contains another heart than dataset.json says; prepare again"
        quality = quality.with_more(problems=[problem])
    if why_not:
        quality = quality.with_more(remarks=[why_not], not_done=[f"{_COMPARISON}: {why_not}"])
    return Checked(quality, info)


def voxels_of(alone: DataSet) -> tuple[LabelMap | None, str]:
    """Return the voxels of the source of the only heart; or None and the reason."""
    (entry,) = alone.hearts
    source, structures = source_of(alone, entry), alone.open_file(entry.file).info.structures
    if not source.has_volume:
        return None, f"made from {source.kind}, which has no label map"
    if not source.path.exists():
        return None, f"{source.path} is no longer there"
    try:
        if source.sha256() != entry.sha256:
            return None, f"{source.path} has changed since; prepare again"
        return source.segmentation(structures).sampled_voxels(), ""
    except (InputError, OSError) as error:
        return None, f"the source cannot be read any more: {error}"


_QUALITY = TypeAdapter(HeartQuality)
