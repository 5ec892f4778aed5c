"""VTP files, VTK's XML format of surfaces."""
