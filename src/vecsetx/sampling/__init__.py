"""From a heart's geometry to training samples: points, their files, quality checks."""
