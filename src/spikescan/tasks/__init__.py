"""Tasks: what a network learns, one file a kind."""

from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.classification import Classification
from spikescan.tasks.optimizer import Optimizer

__all__ = ["Classification", "Optimizer", "Task", "scale_of"]
