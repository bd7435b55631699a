"""Figures and the self-contained HTML page of a training run, from recorded values."""

from .figures import confusion_matrix, curves, firing_rates, time_constants
from .page import write_report
from .record import History, RasterRecord, RunRecord, read_history
from .spikes import raster

__all__ = [
    "History",
    "RasterRecord",
    "RunRecord",
    "confusion_matrix",
    "curves",
    "firing_rates",
    "raster",
    "read_history",
    "time_constants",
    "write_report",
]
