"""Parameters of a synthetic heart, and their random distribution."""

from dataclasses import dataclass

import numpy as np

# Mean and standard deviations of the random parameters; relative unless the name has a unit.
_SIZE = 0.95
_SIZE_SPREAD = 0.06
_STRAIN_SPREAD = 0.08
_PROPORTION_SPREAD = 0.06
_TILT_SPREAD_DEG = 5.0
_COURSE_SPREAD_MM = 1.5


@dataclass(frozen=True, slots=True)
class Parameters:
    """Size, orientation and proportions of one heart.

    Lengths are those of a heart of ``size`` 1 and scale with ``size``. Proportions are factors
    around 1.

    Attributes:
        size: Size of the whole heart.
        turn_deg: Rotation vector of the whole heart in the chest, about R, A and S.
        strain: Relative elongation along R, A and S, then shear in the planes AS, RS and RA: the
            entries of a symmetric matrix that is added to the identity. It moves positions;
            vessels keep their radii.
        ventricle_tilt_deg: Rotation vector of the ventricles relative to the base of the heart,
            about the septal, anterior and long axes.
        lv_radius_mm: Inner radius of the left ventricle.
        lv_length_mm: Inner length from the centre of its ellipsoid to the apex.
        wall_mm: Thickness of the left ventricle's side walls.
        rv_width: Proportion of the right ventricle away from the septum.
        rv_length: Proportion of the right ventricle along the long axis.
        la_radii: Proportions of the left atrium along its long, middle and short axes.
        ra_radii: Proportions of the right atrium along R, A and S.
        laa_length: Proportion of the left atrial appendage's centreline length.
        laa_radius_mm: Radius of the left atrial appendage halfway along it.
        aorta_radius_mm: Radius of the ascending aorta.
        arch_rise_mm: Height of the aortic arch above its default.
        pa_radius_mm: Radius of the pulmonary trunk.
        vein_radius_mm: Radius of each pulmonary vein: left upper, left lower, right upper, right
            lower.
        vein_length_mm: Length of each pulmonary vein.
        coronary_radius_mm: Radius at the ostia; it halves towards the ends.
        course_mm: Displacements of the landmarks along the vessels, ``[24, 3]`` in RAS.
        rv_squeeze: Distances of the right ventricle's free wall from the septum, relative to those
            at end diastole.
        mitral_width: Radius of the left atrium's funnel to the mitral valve, likewise.
    """

    size: float
    turn_deg: tuple[float, float, float]
    strain: tuple[float, float, float, float, float, float]
    ventricle_tilt_deg: tuple[float, float, float]
    lv_radius_mm: float
    lv_length_mm: float
    wall_mm: float
    rv_width: float
    rv_length: float
    la_radii: tuple[float, float, float]
    ra_radii: tuple[float, float, float]
    laa_length: float
    laa_radius_mm: float
    aorta_radius_mm: float
    arch_rise_mm: float
    pa_radius_mm: float
    vein_radius_mm: tuple[float, float, float, float]
    vein_length_mm: tuple[float, float, float, float]
    coronary_radius_mm: float
    course_mm: tuple[tuple[float, float, float], ...]
    rv_squeeze: float = 1.0
    mitral_width: float = 1.0

    @classmethod
    def random(cls, generator: np.random.Generator) -> "Parameters":
        """Draw the parameters of a random heart.

        The spreads were chosen to match real hearts. After a cohort is aligned and its size
        removed, the centroids of the structures lie 2.7 mm from their means (root mean square;
        3.3 mm in 60 real hearts), and the lengths of the structures along their principal axes
        vary by 6.5% (real: 7.3%). ``benchmarks/spread.py`` measures both.
        """

        def around(mean: float, spread: float) -> float:
            # Clipped, because extreme proportions would break the anatomy.
            return float(mean + spread * np.clip(generator.standard_normal(), -2.2, 2.2))

        def proportion(mean: float = 1.0, spread: float = _PROPORTION_SPREAD) -> float:
            return around(mean, mean * spread)

        def three(spread: float) -> tuple[float, float, float]:
            return around(0.0, spread), around(0.0, spread), around(0.0, spread)

        # The order of the arguments is that of the draws: it decides which heart a seed gives.
        return cls(
            size=proportion(_SIZE, _SIZE_SPREAD),
            turn_deg=three(_TILT_SPREAD_DEG),
            # A shear entry occurs twice in the symmetric matrix, hence the root.
            strain=(*three(_STRAIN_SPREAD), *three(_STRAIN_SPREAD / 2**0.5)),
            ventricle_tilt_deg=three(0.6 * _TILT_SPREAD_DEG),
            lv_radius_mm=proportion(21.0),
            lv_length_mm=proportion(51.0, 0.05),
            wall_mm=around(9.4, 0.8),
            rv_width=proportion(),
            rv_length=proportion(spread=0.05),
            la_radii=(proportion(), proportion(), proportion()),
            ra_radii=(proportion(), proportion(), proportion()),
            laa_length=proportion(spread=0.12),
            laa_radius_mm=proportion(7.5, 0.1),
            aorta_radius_mm=proportion(12.0),
            arch_rise_mm=around(0.0, 1.5),
            pa_radius_mm=proportion(12.0),
            vein_radius_mm=(
                proportion(5.6, 0.1),
                proportion(5.2, 0.1),
                proportion(6.0, 0.1),
                proportion(5.6, 0.1),
            ),
            vein_length_mm=(
                around(17.0, 2.0),
                around(17.0, 2.0),
                around(17.0, 2.0),
                around(16.0, 2.0),
            ),
            coronary_radius_mm=proportion(2.0, 0.08),
            course_mm=tuple(three(_COURSE_SPREAD_MM) for _ in range(24)),
        )
