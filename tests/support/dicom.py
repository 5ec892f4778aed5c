"""DICOM segmentations, as highdicom writes them."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from support.maps import LPS, OBLIQUE

FRAME = "1.2.826.0.1.3680043.10.1"
NAMES = ("left ventricle", "LA", "Segment 3")


def ct_slice(rows: int = 11, columns: int = 13) -> pydicom.Dataset:
    """The image that a segmentation refers to."""
    image = pydicom.Dataset()
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, UID("1.2.3.4")
    image.SeriesInstanceUID, image.StudyInstanceUID = UID("1.2.3"), UID("1.2")
    image.FrameOfReferenceUID = UID(FRAME)
    image.PatientID, image.PatientName, image.StudyID = "1", "A^B", "1"
    image.PatientBirthDate = image.PatientSex = image.AccessionNumber = ""
    image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
    image.Modality, image.Rows, image.Columns = "CT", rows, columns
    image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness = [1, 1], 1
    return image


def write_seg(
    path: Path, stack: np.ndarray, names: tuple[str, ...] = NAMES, kind: str = "BINARY"
) -> Path:
    """Write segments ``[I, J, K, S]`` on the grid of ``OBLIQUE``; the third names a region."""
    regions = {3: [codes.SCT.RightVentricle]} if names == NAMES else {}
    described = [
        SegmentDescription(
            number,
            name,
            codes.SCT.Tissue,
            codes.SCT.Tissue,
            "MANUAL",
            anatomic_regions=regions.get(number),
        )
        for number, name in enumerate(names, 1)
    ]
    volume = highdicom.Volume(
        stack.astype(np.uint8),
        affine=LPS @ OBLIQUE,
        coordinate_system="PATIENT",
        frame_of_reference_uid=FRAME,
        channels={"SegmentNumber": list(range(1, len(names) + 1))} if stack.ndim == 4 else None,
    )
    seg = Segmentation(
        [ct_slice()], volume, kind, described, "1.2.5", 1, "1.2.6", 1, "m", "m", "1", "1"
    )
    seg.save_as(path)
    return path
