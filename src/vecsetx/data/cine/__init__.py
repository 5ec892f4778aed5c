"""Hearts as cine MRI shows them: contours in a few planes, shifted by breath-holds."""
