"""Hearts sliced as cine MRI shows them."""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap

SHORT_AXIS, LONG_AXIS = ("Myocardium", "LV", "RV"), ("Myocardium", "LV", "RV", "LA", "RA")
PIXEL_MM, PIXELS, THICK_MM = 1.5, 128, 8.0


def axes_of(heart: LabelMap, structures: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Middle of the left ventricle, and unit vectors: along it to its base, to RV, and across."""

    def points(name: str) -> np.ndarray:
        return heart.to_mm(np.argwhere(heart.labels == structures.index(name) + 1).astype(float))

    left = points("LV")
    middle = left.mean(axis=0)
    along = np.linalg.svd(left - middle, full_matrices=False)[2][0]
    along *= np.sign(along @ (points("LA").mean(axis=0) - middle))
    right = points("RV").mean(axis=0) - middle
    right -= (right @ along) * along
    right /= np.linalg.norm(right)
    return middle, np.stack([along, right, np.cross(along, right)])


def plane_of(
    heart: LabelMap,
    structures: tuple[str, ...],
    shown: tuple[str, ...],
    center: np.ndarray,
    directions: np.ndarray,
    shift: np.ndarray,
) -> np.ndarray:
    """Labels of a thick slice: at each pixel, what most of its thickness shows.

    The slice's header says ``center``, but the heart lay shifted by minus ``shift``, along the two
    directions and the normal.
    """
    normal = np.cross(*directions)
    steps = (np.arange(PIXELS) - (PIXELS - 1) / 2) * PIXEL_MM
    at = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1) + shift[:2]
    points = center + at.reshape(-1, 2) @ directions + shift[2] * normal
    kept = [structures.index(name) + 1 for name in shown]
    votes = np.zeros((len(structures) + 1, PIXELS * PIXELS), dtype=int)
    for depth in np.linspace(-THICK_MM / 2, THICK_MM / 2, 5):
        labels = heart.at(points + depth * normal).astype(int)
        labels[~np.isin(labels, kept)] = 0
        votes[labels, np.arange(len(labels))] += 1
    return votes.argmax(axis=0).reshape(PIXELS, PIXELS).astype(np.uint8)


def as_views(
    heart: LabelMap,
    structures: tuple[str, ...],
    largest_mm: float,
    generator: np.random.Generator,
    through_mm: float = 0.0,
) -> tuple[dict[str, LabelMap], dict[str, list[np.ndarray]]]:
    """A stack of ten short-axis slices, a 2CH and a 4CH, each slice with a shift of its own.

    Returns:
        View → label map with labels 1…K, and the true shift of each of its slices, mm along the
        first two axes of its array and the normal; the latter is at most ``through_mm``.
    """
    middle, (along, right, across) = axes_of(heart, structures)
    left = heart.to_mm(np.argwhere(heart.labels == structures.index("LV") + 1).astype(float))
    heights = (left - middle) @ along
    offsets = heights.min() + (np.arange(10) + 0.5) * np.ptp(heights) / 10
    turned = np.cos(np.pi / 3) * right + np.sin(np.pi / 3) * across
    planes = {
        "sax": (SHORT_AXIS, np.stack([right, across]), [middle + h * along for h in offsets]),
        "4ch": (LONG_AXIS, np.stack([right, along]), [middle + 25 * along]),
        "2ch": (("Myocardium", "LV", "LA"), np.stack([turned, along]), [middle + 25 * along]),
    }
    views, shifts = {}, {}
    for name, (shown, directions, centers) in planes.items():
        own = []
        for _ in centers:
            angle, radius = generator.uniform(0, 2 * np.pi), np.sqrt(generator.uniform())
            within = largest_mm * radius * np.array([np.cos(angle), np.sin(angle)])
            through = generator.uniform(-through_mm, through_mm) if through_mm else 0.0
            own.append(np.append(within, through))
        labels = np.stack(
            [
                plane_of(heart, structures, shown, center, directions, shift)
                for center, shift in zip(centers, own, strict=True)
            ],
            axis=2,
        )
        thick = np.ptp(heights) / 10 if len(centers) > 1 else THICK_MM
        normal = along if name == "sax" else np.cross(*directions)
        affine = np.eye(4)
        affine[:3, :2], affine[:3, 2] = directions.T * PIXEL_MM, normal * thick
        first = centers[0] - (PIXELS - 1) / 2 * PIXEL_MM * directions.sum(axis=0)
        affine[:3, 3] = first
        views[name], shifts[name] = LabelMap(labels, affine), own
    return views, shifts


def common_mm(found: np.ndarray, true: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The one translation of all slices that best explains how shifts differ from the true ones.

    Args:
        found: Shifts along the directions, ``[S, D]``.
        true: The true ones, ``[S, D]``.
        directions: Those of each slice, ``[S, D, 3]``.
    """
    return np.linalg.lstsq(directions.reshape(-1, 3), (found - true).ravel(), rcond=None)[0]


def off_mm(found: np.ndarray, true: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How far shifts are off the true ones, after that translation; the arguments are the same."""
    whole_mm = common_mm(found, true, directions)
    return np.linalg.norm(found - true - directions @ whole_mm, axis=1)
