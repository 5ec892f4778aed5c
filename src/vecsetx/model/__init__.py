"""The VecSet autoencoder: surface points → latent set → a distance per structure."""
