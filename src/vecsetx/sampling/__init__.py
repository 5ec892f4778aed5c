"""From a label map to samples: shared interfaces, exact distances, points, quality."""
