"""Uncertainty of hidden structures, held against the truth: ``evaluate --ensemble``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecsetx.anatomy.frame import Frame
from vecsetx.commands.progress import console
from vecsetx.errors import InputError
from vecsetx.evaluation.calibration import (
    Calibration,
    VertexErrors,
    told_of_structures,
    vertex_errors,
)
from vecsetx.evaluation.reconstruction_scores import Reconstruction
from vecsetx.inference.ensemble import encode_ensemble
from vecsetx.inference.sd_factor import SdFactor
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.geometry import Geometry

Errors = Mapping[str, VertexErrors]
"""Structure → its vertices, of one heart; no vertices if it was missed altogether."""


@dataclass(frozen=True, slots=True)
class EnsembleScoring:
    """How hearts are drawn.

    Attributes:
        trained: The model.
        count: TrainingBatches per heart and set of hidden structures.
        seed: Seed of the draws and of the choice of vertices.
        sd_factor: The model's factors; None if nobody measured them.
    """

    trained: TrainedModel
    count: int
    seed: int
    sd_factor: SdFactor | None

    @property
    def fitted(self) -> tuple[str, ...]:
        """Hearts that the factors were measured on."""
        return self.sd_factor.hearts_fitted if self.sd_factor else ()

    def tell_of_fitted(self, hearts: Collection[str]) -> None:
        """Say on the terminal which hearts tell nothing of how sure the model is.

        Raises:
            InputError: None of them does.
        """
        fitted = [heart for heart in hearts if heart in self.fitted]
        if fitted and len(fitted) == len(hearts):
            raise InputError(
                f"the factors of this model's standard deviations were measured on all of these "
                f"hearts ({', '.join(fitted)}), which cannot tell what they are worth: score "
                "others, or leave --ensemble out"
            )
        if fitted:
            console.print(
                f"how sure: told of {len(hearts) - len(fitted)} of {len(hearts)} hearts; on the "
                f"others the factors were measured ({', '.join(fitted)})"
            )

    def errors(
        self,
        heart: str,
        whole: Reconstruction,
        shown: Geometry,
        made: Mapping[str, Surface],
        hidden: Collection[str],
        domain: Frame,
    ) -> dict[str, VertexErrors]:
        """Errors and standard deviations of structures of one heart that were hidden together.

        There are none of a heart that the factors were measured on, which would flatter them.

        Args:
            heart: Its name.
            whole: The heart with all that it has, of which the truth counts here.
            shown: What the model was shown.
            made: Structure → reconstructed surface, of those that were found.
            hidden: The structures, as far as the heart annotates them; what the truth does not hold
                is left out.
            domain: Where the model was asked, as in :func:`encode_ensemble`.
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
            if name not in made:
                found[name] = VertexErrors.joined([])
                continue
            generator = np.random.default_rng([self.seed, k, *heart.encode()])
            truth = whole.true_surfaces[name]
            found[name] = vertex_errors(made[name], truth, k, ensemble, generator, whole.visibility)
        return found

    def told(self, hearts: Sequence[Errors]) -> dict[str, Any]:
        """What the standard deviations are worth over all hearts, as plain data.

        Returns:
            ``members``; ``factors`` (as in ``calibration.json``, without what else that has), or
            ``uncalibrated``; ``all``, a
            :class:`~vecsetx.evaluation.calibration.Calibration`, None if nothing was found; and
            ``structures``, as of :func:`~vecsetx.evaluation.calibration.told_of_structures`.
        """
        joined = VertexErrors.joined(errors for of_heart in hearts for errors in of_heart.values())
        seen = {name for of_heart in hearts for name in of_heart}
        return {
            "members": self.count,
            "factors": self.sd_factor.to_dict() if self.sd_factor else "uncalibrated",
            "all": Calibration.of(joined).to_dict() if len(joined.sd_mm) else None,
            "structures": told_of_structures(
                hearts, [name for name in self.trained.structures if name in seen]
            ),
        }
