"""Training: run folders, and what a run records."""

from spikescan.train.run import RunFolder, UsageError, evaluate, fit

__all__ = ["RunFolder", "UsageError", "evaluate", "fit"]
