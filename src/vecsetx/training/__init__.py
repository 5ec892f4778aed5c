"""Training: objective, optimizers, the loop, checkpoints and the diagnosis of a run."""
