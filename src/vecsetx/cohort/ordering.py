"""Encode one prepared heart of a cohort with corresponding anchors."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vecsetx.cohort.identity import plain_file
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet, check_is_of
from vecsetx.population.heart_tables import encode_table, observed_samples, template_of
from vecsetx.population.shape_space import HeartTable
from vecsetx.population.template import Template
from vecsetx.sampling.samples import Samples
from vecsetx.workers.heart_work import HeartWork

__all__ = ["Ordering", "template_from"]


@dataclass(frozen=True, slots=True)
class Ordering(HeartWork[DataSet, HeartTable]):
    """Encodes prepared hearts with a template's anchors; takes data sets of one heart.

    Attributes:
        model: The model.
        template: The data set of the template heart alone.
    """

    name: ClassVar[str] = "shape fit"

    model: WorkingModel
    template: DataSet

    def setting(self) -> dict[str, Any]:
        """Return the model and the template."""
        return {"model": self.model.to_dict(), "template": self.identity(self.template)}

    def identity(self, heart: DataSet) -> dict[str, Any]:
        """Return the samples."""
        (entry,) = heart.hearts
        return {"name": entry.name, "samples": plain_file(heart.folder / entry.file)}

    def make(self, heart: DataSet) -> HeartTable:
        """Encode the only heart of a data set.

        Raises:
            InputError: Its samples are missing or damaged, or none of its structures is whole.
        """
        samples, trained = _samples(heart), self.model.trained()
        observed = observed_samples(samples, trained)
        template = template_from(self.template, self.model)
        return encode_table(observed, trained, template, samples.info.cut).table

    def to_record(self, result: HeartTable) -> Any:
        """Return the rows as plain data."""
        return {
            "positions": result.positions.tolist(),
            "latents": result.latents.tolist(),
            "there": result.there.tolist(),
        }

    def of_record(self, record: Any) -> HeartTable:
        """Return the table from plain data."""
        return HeartTable(
            np.array(record["positions"], dtype=np.float32).reshape(-1, 3),
            np.array(record["latents"], dtype=np.float32).reshape(len(record["there"]), -1),
            np.array(record["there"], dtype=bool),
        )


_templates: dict[tuple[str, WorkingModel], Template] = {}
"""The template that this process has read last."""


def template_from(heart: DataSet, model: WorkingModel) -> Template:
    """Return the only heart of a data set as a template; a process reads it once."""
    (entry,) = heart.hearts
    key = (f"{heart.folder / entry.file} {entry.content}", model)
    if key not in _templates:
        trained = model.trained()
        _templates.clear()
        _templates[key] = template_of(observed_samples(_samples(heart), trained), trained)
    return _templates[key]


def _samples(heart: DataSet) -> Samples:
    (entry,) = heart.hearts
    file = heart.open_file(entry.file)
    check_is_of(file, entry)
    return file.read()
