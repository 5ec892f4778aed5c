"""The VecSet autoencoder: surface points → latent set → signed distances to each structure."""
