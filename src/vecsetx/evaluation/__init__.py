"""Agreement of reconstruction and truth: overlap, distances, volumes, topology, uncertainty."""
