"""Numbers of a heart: volumes, axes, walls, valves and vessels, in mm, mm², ml and g."""
