"""Bounds on what is read from files that anybody may have written. This module alone sets them.

A reader compares what a header claims with these bounds, and with the size of the file, before it
takes memory.
"""

__all__ = [
    "DEFLATE_RATIO",
    "DEPTH",
    "DICOM_BYTES",
    "FARTHEST_MM",
    "HEADER_BYTES",
    "HEADER_LINES",
    "HEART_ML",
    "JOURNAL_BYTES",
    "JSON_BYTES",
    "LAYERS",
    "MESH_BYTES",
    "MESH_ITEMS",
    "MOST_VARIANTS",
    "NPZ_BYTES",
    "NUMBER_DIGITS",
    "ORIGIN_MM",
    "POINTS_BYTES",
    "STORED_VOXEL",
    "TABLE_BYTES",
    "TRAILING_BYTES",
    "VOXELS",
    "VOXEL_MM",
    "YAML_CHARACTERS",
    "YAML_VALUES",
]

# Images
VOXELS = 1024**3
"""Most voxels of a label map, unless ``--max-voxels`` says otherwise."""

LAYERS = 4
"""Most values of an image, as a multiple of the most voxels: segments may lie in layers."""

HEADER_BYTES = 1 << 22
"""Largest header of an image, with its extensions."""

HEADER_LINES = 100_000
"""Most lines of a header that is a text: ten per segment, or one per file of voxels."""

DEFLATE_RATIO = 1032
"""Most bytes that one byte of gzip, zlib or deflate can stand for."""

DICOM_BYTES = 1 << 29
"""Largest DICOM file, unpacked; ten segments of 512 × 512 × 400 voxels take a quarter."""

TRAILING_BYTES = 1 << 16
"""Most bytes that are unpacked behind the voxels, to reach the checksum behind padding."""

# Meshes, points and samples
MESH_BYTES = 1 << 30
"""Largest file of a mesh or of points."""

MESH_ITEMS = 50_000_000
"""Most vertices, faces or numbers per array of a mesh: 40 times those of a heart at 0.4 mm."""

MOST_VARIANTS = 1000
"""Most variants of one heart."""

POINTS_BYTES = 1 << 28
"""Largest table of labelled points."""

NPZ_BYTES = 1 << 30
"""Largest content of an NPZ file; 50,000 points of each kind take 8 MB."""

# Texts
JOURNAL_BYTES = 1 << 28
"""Largest journal of a run; a million entries have about as many."""

JSON_BYTES = 256 * 2**20
"""Largest JSON file; the data set of 100,000 hearts has about 100 MB."""

YAML_CHARACTERS = 100_000
"""Longest YAML text: label sets and recipes have a few thousand characters."""

YAML_VALUES = 20_000
"""Most values of a YAML text, each counted as often as aliases repeat it."""

DEPTH = 100
"""Deepest nesting of tables and lists."""

TABLE_BYTES = 1 << 20
"""Largest table of labels' names."""

NUMBER_DIGITS = 100
"""Longest number in YAML; ids have at most 5 digits."""

# What a heart can measure
VOXEL_MM = (0.02, 20.0)
"""Bounds on the voxel size along each axis: from micro-CT to short-axis stacks."""

STORED_VOXEL = (2e-5, 2e4)
"""The same bounds for a number in a header, which may be in micrometres or metres."""

HEART_ML = 5000.0
"""Largest volume of a heart; the largest hearts of adults hold 3 l."""

FARTHEST_MM = 1000.0
"""Longest side of the box around a heart's meshes or points."""

ORIGIN_MM = 1e5
"""Farthest that a heart may lie from the scanner's origin along an axis."""
