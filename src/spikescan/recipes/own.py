"""A recipe for a person's own files: a network chosen from what is known of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from spikescan.data.own.base import OwnFiles

_SOUND = 4_000
"""Hz from which on samples are taken for sound, one step a millisecond."""
_LONGEST = 2_048
"""Steps that a sequence of other kinds has at most; longer ones have several samples a step."""
_STEPS = 2_000
"""Steps of training that suit a first look."""


def classes_recipe(data: OwnFiles, title: str, options: dict[str, Any]) -> str:
    """A recipe, as YAML, that names the classes of these files.

    Args:
        data: the files, which are looked through.
        title: headline of the report.
        options: the data's own options, as given.
    """
    found = data.found
    rate = found.rate or 0.0
    sound = rate >= _SOUND
    frame = max(1, round(rate / 1000)) if sound else -(-found.length // _LONGEST)
    training = data.parts.count("train")
    batch = max(4, min(32, training // 8))
    counts = [sum(item.label == name for item in data.items) for name in found.classes]
    init = {
        **options,
        "batch_size": batch,
        "frame": frame,
        "found": {
            "classes": found.classes,
            "channels": found.channels,
            "length": found.length,
            "rate": found.rate,
        },
    }
    if sound:
        # Found on spoken digits: shifts, loudness and pitch that a recording might have had too.
        init |= {"shift": round(0.05 * rate), "gain": 3.0, "speed": 0.08}
        neuron = {"theta_max": 3.1416, "dt_min": 0.2, "dt_max": 1.0, "tau": 6.0}
    else:
        steps = -(-found.length // frame)
        tau = max(2.0, min(30.0, round(steps / 10)))
        neuron = {"theta_max": 0.7854, "dt_min": 0.1, "dt_max": 1.0, "tau": tau}
    recipe = {
        "title": title,
        "seed": 0,
        "data": {"class_path": f"spikescan.data.{type(data).__name__}", "init_args": init},
        "model": {
            "features": 128 if sound else 64,
            "depth": 2,
            "block": {
                "class_path": "spikescan.models.SDTCM",
                "init_args": {
                    "dropout": 0.1,
                    "neuron": {"class_path": "spikescan.PRF", "init_args": neuron},
                },
            },
        },
        "task": {
            "optimizer": {"lr": 0.005, "neuron_lr": 0.001, "weight_decay": 0.05},
            "class_weights": "balanced" if max(counts) >= 3 * min(counts) else None,
        },
        "trainer": {"max_epochs": max(5, min(60, math.ceil(_STEPS * batch / training)))},
    }
    return written(data.survey(), recipe)


def written(comments: list[str], recipe: dict[str, Any]) -> str:
    """A recipe as YAML, below its comments."""
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return "\n".join([*(f"# {line}" for line in comments), text])
