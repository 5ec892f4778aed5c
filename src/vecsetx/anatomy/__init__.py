"""The heart's anatomy: structures, label sets, coordinates, label maps and synthetic hearts."""
