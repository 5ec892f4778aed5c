"""From a field of distances to surfaces and label maps, in the patient's millimetres."""
