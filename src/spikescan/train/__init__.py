"""Training: recipes, run folders, and what a run records.

The public names are those of ``spikescan.train.api``, imported when one is first asked for:
``spikescan info`` needs no Lightning.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikescan.train.api import *  # noqa: F403
else:
    from spikescan._lazy import names_of

    __getattr__, __dir__ = names_of("spikescan.train.api")
