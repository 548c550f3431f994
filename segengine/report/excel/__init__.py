"""An Excel workbook of segments and key figures, for people who have no Power BI."""

from segengine.report.excel.workbook import FILE, draw_workbook

__all__ = ["FILE", "draw_workbook"]
