"""How well a reconstruction agrees with the truth: overlap, distances, volumes and topology."""
