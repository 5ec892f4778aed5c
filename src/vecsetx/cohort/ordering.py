"""Encode one prepared heart of a cohort with corresponding anchors."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from vecsetx.cohort.identity import plain_file
from vecsetx.cohort.working_model import WorkingModel
from vecsetx.data.dataset import DataSet, check_is_of
from vecsetx.population.heart_tables import (
    encode_table,
    field_of,
    label_map_of,
    observed_samples,
    template_of,
)
from vecsetx.population.neighbours import CONTACT_MM, contact_mm2
from vecsetx.population.shape_space import HeartTable
from vecsetx.population.template import Template
from vecsetx.sampling.samples import Samples
from vecsetx.workers.heart_work import HeartWork

__all__ = ["OrderedHeart", "Ordering", "template_from"]


@dataclass(frozen=True, slots=True)
class OrderedHeart:
    """A heart of the cohort.

    Attributes:
        table: Its anchors and latents.
        normals: ``[M, 3]`` outward unit normals at the anchors; NaN where there is none.
        contact_mm2: ``[K, K]`` over which areas the model's structures face each other, as the
            model reconstructs them.
    """

    table: HeartTable
    normals: Float[np.ndarray, "m 3"]
    contact_mm2: Float[np.ndarray, "k k"]


@dataclass(frozen=True, slots=True)
class Ordering(HeartWork[DataSet, OrderedHeart]):
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

    def make(self, heart: DataSet) -> OrderedHeart:
        """Encode the only heart of a data set.

        Raises:
            InputError: Its samples are missing or damaged, or none of its structures is whole.
        """
        samples, trained = _samples(heart), self.model.trained()
        observed = observed_samples(samples, trained)
        template = template_from(self.template, self.model)
        table, frame, normals = encode_table(observed, trained, template, samples.info.cut)
        known = np.unique(template.structure[: template.anchors][table.there])
        structures = [trained.structures[k] for k in known]
        voxels = label_map_of(field_of(table, trained, structures, frame), CONTACT_MM)
        return OrderedHeart(table, normals, contact_mm2(voxels, len(trained.structures)))

    def to_record(self, result: OrderedHeart) -> Any:
        """Return the rows and contacts as plain data."""
        return {
            "positions": result.table.positions.tolist(),
            "latents": result.table.latents.tolist(),
            "there": result.table.there.tolist(),
            "normals": np.nan_to_num(result.normals).tolist(),
            "contact_mm2": result.contact_mm2.tolist(),
        }

    def of_record(self, record: Any) -> OrderedHeart:
        """Return the heart from plain data."""
        there = np.array(record["there"], dtype=bool)
        positions = np.array(record["positions"], dtype=np.float32).reshape(-1, 3)
        latents = np.array(record["latents"], dtype=np.float32).reshape(len(there), -1)
        contact = np.array(record["contact_mm2"], dtype=np.float64)
        normals = np.array(record["normals"], dtype=np.float32).reshape(-1, 3)
        return OrderedHeart(
            HeartTable(positions, latents, there),
            np.where(there[:, None], normals, np.float32(np.nan)),
            contact.reshape(len(contact), len(contact)),
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
