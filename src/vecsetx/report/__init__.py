"""HTML pages: scores with a 3-D viewer, data checks, training curves and calibration."""
