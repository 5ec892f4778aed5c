"""From a label map to a heart's geometry: what a scan shows of it, its surface, exact distances."""
