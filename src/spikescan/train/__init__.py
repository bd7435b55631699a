"""Training: tasks for Lightning, run folders, and what a run records."""

from spikescan.tasks.classification import Classification
from spikescan.train.run import RunFolder, UsageError, evaluate, fit

__all__ = ["Classification", "RunFolder", "UsageError", "evaluate", "fit"]
