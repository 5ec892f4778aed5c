"""Training runs: their folders, and the models that they use."""
