"""Tasks: what a network learns, one file a kind."""

from spikescan.tasks.classification import Classification

__all__ = ["Classification"]
