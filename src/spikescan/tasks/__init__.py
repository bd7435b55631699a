"""Tasks: what a network learns, one file a kind."""

from spikescan.tasks.base import Task
from spikescan.tasks.classification import Classification

__all__ = ["Classification", "Task"]
