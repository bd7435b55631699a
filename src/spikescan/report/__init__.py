"""Figures and the self-contained HTML page of a training run, from recorded values."""

from .activity import activity_notes
from .compare import RunFacts, compared, write_comparison
from .confusion import confusion_matrix, confusion_section
from .energy import energy_breakdown, energy_section, joules
from .figures import curves, firing_rates, time_constants
from .impulses import impulse_responses
from .page import write_report
from .record import (
    LOSS,
    History,
    Passage,
    Quantity,
    RasterRecord,
    RunRecord,
    Section,
    read_history,
)
from .spikes import raster

__all__ = [
    "LOSS",
    "History",
    "Passage",
    "Quantity",
    "RasterRecord",
    "RunFacts",
    "RunRecord",
    "Section",
    "activity_notes",
    "compared",
    "confusion_matrix",
    "confusion_section",
    "curves",
    "energy_breakdown",
    "energy_section",
    "firing_rates",
    "impulse_responses",
    "joules",
    "raster",
    "read_history",
    "time_constants",
    "write_comparison",
    "write_report",
]
