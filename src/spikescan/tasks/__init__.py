"""Tasks: what a network learns, one file a kind."""

from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.classification import Classification

__all__ = ["Classification", "Task", "scale_of"]
