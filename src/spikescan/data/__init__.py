"""Data sets of long sequences: downloads with checksums, and Lightning data modules.

The public names are those of ``spikescan.data.api``, imported when one is first asked for:
``spikescan data list`` needs neither torch nor Lightning.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikescan.data.api import *  # noqa: F403
else:
    from spikescan._lazy import names_of

    __getattr__, __dir__ = names_of("spikescan.data.api")
