"""How well a reconstruction agrees with the truth, on the voxel grid of the truth."""
