"""Readers and writers of the file formats of hearts: images, masks, meshes and points."""
