"""Layers that fire next to never, or next to always, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .record import Array

__all__ = ["activity_notes"]

SILENT, SATURATED = 0.001, 0.9
"""Mean firing rates below which a layer counts as silent, and above which as saturated."""


def activity_notes(rates: Mapping[str, float | Array]) -> list[str]:
    """One line for each layer that is silent or saturated, and so carries next to no information.

    A layer is silent if it fires in less than 0.1 % of its steps, mostly silent if most of its
    channels never do, and saturated if it fires in more than 90 %.

    Args:
        rates: layer name -> share of steps with a spike, (D,) in [0, 1] or a float, in order.

    >>> activity_notes({"first": np.array([0.2, 0.1]), "second": np.array([0.0, 0.0, 0.3])})
    ['second is mostly silent: it fires in 10.00 % of its steps, and 2 of 3 channels never do']
    """
    notes: list[str] = []
    for layer, values in rates.items():
        channels = np.atleast_1d(np.asarray(values))
        mean, never = float(channels.mean()), int((channels == 0).sum())
        silent = mean < SILENT
        mostly = 2 * never > len(channels)
        if silent or mostly or mean > SATURATED:
            what = "silent" if silent else "mostly silent" if mostly else "saturated"
            line = f"{layer} is {what}: it fires in {100 * mean:.2f} % of its steps"
            if never and channels.size > 1:
                line += f", and {never} of {channels.size} channels never do"
            notes.append(line)
    return notes
