"""Training: run folders, and what a run records."""

from spikescan.errors import Stopped, UsageError
from spikescan.train.folder import NewRun, RunFolder
from spikescan.train.run import Finished, evaluate, fit

__all__ = [
    "Finished",
    "NewRun",
    "RunFolder",
    "Stopped",
    "UsageError",
    "evaluate",
    "fit",
]
