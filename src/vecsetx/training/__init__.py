"""Learning: what is asked of the model, how its weights move, and how a run is kept."""
