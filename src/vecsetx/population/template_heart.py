"""Which heart of a cohort is the template."""

from collections.abc import Mapping, Sequence

import numpy as np

from vecsetx.errors import InputError
from vecsetx.sampling.heart_info import HeartInfo

__all__ = ["template_heart"]


def template_heart(infos: Mapping[str, HeartInfo], structures: Sequence[str]) -> str:
    """Return the heart with the most whole structures that the model knows.

    Of several, it is the one whose volumes are nearest to the cohort's medians.

    Raises:
        InputError: No heart has a whole structure that the model knows.
    """
    whole = {
        name: [s for s in info.structures if s in structures and s not in info.cut]
        for name, info in infos.items()
    }
    most = max(map(len, whole.values()))
    if most == 0:
        raise InputError("no heart has a structure that is whole and that the model knows")
    medians = {
        s: float(np.median([i.volumes_ml[s] for n, i in infos.items() if s in whole[n]]))
        for s in {s for names in whole.values() for s in names}
    }

    def unusual(name: str) -> float:
        return sum(
            abs(float(np.log(max(infos[name].volumes_ml[s], 1e-3) / max(medians[s], 1e-3))))
            for s in whole[name]
        )

    return min((name for name in whole if len(whole[name]) == most), key=unusual)
