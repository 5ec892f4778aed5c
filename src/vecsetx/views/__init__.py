"""One heart from several views: slices, their contours, and the shifts between breath-holds."""
