"""From a distance field to surfaces and label maps, in patient millimetres."""
