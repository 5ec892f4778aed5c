"""A few points, and VTK data made of points."""

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints, vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkPolyData

POINTS = [[1.5, 2, 3], [4, 5, 6], [-7, 8, -9], [10, 11, 12.25], [13, 14, 15]]


def cloud(points=POINTS, **arrays):
    polydata, places = vtkPolyData(), vtkPoints()
    places.SetDataTypeToDouble()
    for point in points:
        places.InsertNextPoint(point)
    polydata.SetPoints(places)
    for name, values in arrays.items():
        if isinstance(values[0], str):
            array = vtkStringArray()
            for value in values:
                array.InsertNextValue(value)
        else:
            array = numpy_to_vtk(np.array(values), deep=True)
        array.SetName(name)
        polydata.GetPointData().AddArray(array)
    return polydata
