"""Label maps of a cycle: 4-D images whose fourth axis is time."""

from vecsetx.formats.series.label_series import LabelSeries, read_series, write_series

__all__ = ["LabelSeries", "read_series", "write_series"]
