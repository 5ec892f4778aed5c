"""The commands of shape spaces."""
