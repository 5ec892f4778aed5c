"""What a heart is: its structures, its coordinates, its label map, and a synthetic one."""
