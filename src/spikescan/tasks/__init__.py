"""Tasks: what a network learns, one file a kind."""

from spikescan.tasks.base import Task, scale_of
from spikescan.tasks.classification import Classification
from spikescan.tasks.firing import Firing
from spikescan.tasks.optimizer import Optimizer

__all__ = ["Classification", "Firing", "Optimizer", "Task", "scale_of"]
