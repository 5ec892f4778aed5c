"""Whether a prepared heart is fit for training, judged by its samples and its label map.

A *problem* makes a heart unfit. A *doubt* asks a person to look at it. A *remark* only informs.
"""

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.sign import inside
from vecsetx.progress import staged
from vecsetx.sampling.quality.findings import doubts, not_numbers, problems, remarks
from vecsetx.sampling.quality.measures import HeartQuality, StructureQuality, measure_structures
from vecsetx.sampling.quality.probes import agreement
from vecsetx.sampling.samples import Samples


@staged("checking samples")
def heart_quality(
    samples: Samples,
    structures: tuple[str, ...],
    annotated: tuple[str, ...],
    label_map: LabelMap | None,
) -> HeartQuality:
    """Check a heart's samples.

    Args:
        samples: The heart.
        structures: Names of all structures of its data set.
        annotated: Structures that its source annotates.
        label_map: The label map that it was sampled from, without specks, with labels 1…K in the
            order of the heart's own structures; None if it is not available.
    """
    info = samples.info
    if broken := not_numbers(samples):
        return HeartQuality(info.name, tuple(broken))
    compared = None if label_map is None else agreement(samples, label_map)
    found = measure_structures(samples, compared)
    near, volume = inside(samples.near.distances_mm), inside(samples.volume.distances_mm)
    shares = {"near": float(near.any(axis=1).mean()), "volume": float(volume.any(axis=1).mean())}
    trusted = [info.trusted(group) for group in (samples.surface, samples.near, samples.volume)]
    untrusted = 1 - float(np.concatenate(trusted).mean())
    absent = [name for name in annotated if name not in info.structures]
    others: dict[str, StructureQuality] = {
        name: StructureQuality("absent" if name in annotated else "not annotated")
        for name in structures
        if name not in found
    }
    return HeartQuality(
        info.name,
        tuple(problems(samples, found, shares, compared)),
        tuple(doubts(samples, absent)),
        tuple(remarks(info, untrusted)),
        structures={name: (found | others)[name] for name in structures},
        inside_share=shares,
        agreement=None if compared is None else compared.share,
        untrusted_share=untrusted,
    )
