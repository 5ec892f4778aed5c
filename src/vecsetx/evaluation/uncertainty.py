"""Uncertainty of hidden structures, compared with the truth: ``evaluate --ensemble``."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsetx.anatomy.frame import Frame
from vecsetx.errors import InputError
from vecsetx.evaluation.calibration import (
    Calibration,
    VertexErrors,
    summarize_structures,
    vertex_errors,
)
from vecsetx.evaluation.reconstruction_scores import Reconstruction
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface

__all__ = ["EnsembleScoring", "HeartErrors"]

_log = logging.getLogger(__name__)

HeartErrors = Mapping[str, VertexErrors]
"""Structure → errors at its vertices, of one heart; no vertices if the model missed it."""


@dataclass(frozen=True, slots=True)
class EnsembleScoring:
    """Compares the standard deviations of ensembles with true errors.

    Attributes:
        trained: The model.
        count: Members per heart and set of hidden structures.
        seed: Seed of the members and of the choice of vertices.
        sd_factor: The model's factors; None if it is uncalibrated.
    """

    trained: TrainedModel
    count: int
    seed: int
    sd_factor: SdFactor | None

    @property
    def fitted(self) -> tuple[str, ...]:
        """Hearts that the factors were fitted to, which are excluded here."""
        return self.sd_factor.hearts_fitted if self.sd_factor else ()

    def check_hearts(self, hearts: Collection[str]) -> None:
        """Check that not all hearts were used for calibration; log a warning if some were.

        Raises:
            InputError: All of them were.
        """
        fitted = [heart for heart in hearts if heart in self.fitted]
        if fitted and len(fitted) == len(hearts):
            raise InputError(
                f"all these hearts ({', '.join(fitted)}) were used for calibration, so they "
                "cannot test it; evaluate others, or leave --ensemble out"
            )
        if fitted:
            _log.warning(
                "uncertainty is scored on %d of %d hearts; the others were used for calibration "
                "(%s)",
                len(hearts) - len(fitted),
                len(hearts),
                ", ".join(fitted),
            )

    def errors(
        self,
        heart: str,
        whole: Reconstruction,
        shown: Geometry,
        surfaces: Mapping[str, Surface],
        hidden: Collection[str],
        domain: Frame,
    ) -> dict[str, VertexErrors]:
        """Compute errors and standard deviations of structures that were hidden together.

        Hearts that the factors were fitted to have none, since they would look too good.

        Args:
            heart: The heart's name.
            whole: The whole heart, for its true surfaces.
            shown: The observation that the model received.
            surfaces: Structure → reconstructed surface, of the structures that were found.
            hidden: The hidden structures that the heart annotates. Those that the truth does not
                contain are left out.
            domain: Domain of the heart's own field, as in
                :func:`~vecsetx.inference.ensemble.encode_ensemble`.
        """
        if heart in self.fitted:
            return {}
        structures = self.trained.structures
        factor = self.sd_factor.each(structures) if self.sd_factor else 1.0
        ensemble = encode_ensemble(shown, self.trained, self.count, self.seed, factor, domain)
        found: dict[str, VertexErrors] = {}
        for k, name in enumerate(structures):
            if name not in hidden or name not in whole.true_surfaces:
                continue
            if name not in surfaces:  # missed
                found[name] = VertexErrors.joined([])
                continue
            # A generator per structure, so that its vertices do not depend on what else is hidden.
            generator = np.random.default_rng([self.seed, k, *heart.encode()])
            pair = surfaces[name], whole.true_surfaces[name]
            found[name] = vertex_errors({k: pair}, ensemble, generator, known=whole.visibility)
        return found

    def summary(self, hearts: Sequence[HeartErrors]) -> dict[str, Any]:
        """Summarize the calibration over all hearts as plain data.

        Returns:
            ``members``; ``factors`` (as in ``calibration.json``, without its further results), or
            ``uncalibrated``; ``all``, a :class:`~vecsetx.evaluation.calibration.Calibration`, None
            if there are no vertices; and ``structures``, from
            :func:`~vecsetx.evaluation.calibration.summarize_structures`.
        """
        joined = VertexErrors.joined(errors for of_heart in hearts for errors in of_heart.values())
        seen = {name for of_heart in hearts for name in of_heart}
        return {
            "members": self.count,
            "factors": self.sd_factor.to_dict() if self.sd_factor else "uncalibrated",
            "all": Calibration.of(joined).to_dict() if len(joined.sd_mm) else None,
            "structures": summarize_structures(
                hearts, [name for name in self.trained.structures if name in seen]
            ),
        }
