"""From a heart to training samples: shared surface, exact distances, points, quality checks."""
