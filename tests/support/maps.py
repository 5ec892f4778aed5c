"""A small label map without any symmetry, and a way to save images as they come."""

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

LPS = np.diag([-1.0, -1, 1, 1])

# Written by hand, with one voxel that no turn, flip or swap of axes leaves where it is.
LABELS = np.zeros((2, 3, 4), np.uint8)
LABELS[1, 2, 3], LABELS[0, 1, 0] = 9, 2

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() * [
    2,
    3.5,
    10,
]
OBLIQUE[:3, 3] = [-120.5, 33.25, 901.0]


def save(path, values, affine=OBLIQUE, **header):
    image = nib.Nifti1Image(values, affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def save_itk(path, labels, affine=OBLIQUE, compressed=False):
    """Write with ITK, whose axes are LPS."""
    image = sitk.GetImageFromArray(labels.transpose())
    moved = LPS @ affine
    spacing = np.linalg.norm(moved[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((moved[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(moved[:3, 3].tolist())
    sitk.WriteImage(image, str(path), compressed)
    return path
