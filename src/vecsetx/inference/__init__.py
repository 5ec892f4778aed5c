"""A heart through a trained model: encode, complete, recycle, refine, mesh."""
