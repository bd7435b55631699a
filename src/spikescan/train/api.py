"""The public names of training."""

from spikescan.errors import Stopped, UsageError
from spikescan.train.folder import NewRun, RunFolder
from spikescan.train.recipe import Recipe, read_recipe
from spikescan.train.run import Finished, evaluate, fit
from spikescan.train.trained import load

__all__ = [
    "Finished",
    "NewRun",
    "Recipe",
    "RunFolder",
    "Stopped",
    "UsageError",
    "evaluate",
    "fit",
    "load",
    "read_recipe",
]
