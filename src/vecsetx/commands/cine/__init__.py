"""Commands on a heart's cycle."""
