"""Figures and the self-contained HTML page of a training run, from recorded values."""

from .activity import activity_notes
from .confusion import confusion_matrix, confusion_section
from .figures import curves, firing_rates, time_constants
from .page import write_report
from .record import LOSS, History, Quantity, RasterRecord, RunRecord, Section, read_history
from .spikes import raster

__all__ = [
    "LOSS",
    "History",
    "Quantity",
    "RasterRecord",
    "RunRecord",
    "Section",
    "activity_notes",
    "confusion_matrix",
    "confusion_section",
    "curves",
    "firing_rates",
    "raster",
    "read_history",
    "time_constants",
    "write_report",
]
