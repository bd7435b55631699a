"""A recipe for a person's own files: a network chosen from what is known of them."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import torch
import yaml

from spikescan.data.gaps import REFUSED
from spikescan.data.times import MONTH, spell

if TYPE_CHECKING:
    from spikescan.data.own.base import OwnFiles
    from spikescan.data.series import Series
    from spikescan.data.text import Text

_SOUND = 4_000
"""Hz from which on samples are taken for sound, one step a millisecond."""
_LONGEST = 2_048
"""Steps that a sequence of other kinds has at most; longer ones have several samples a step."""
_STEPS = 2_000
"""Steps of training that suit a first look."""
_STRETCH = 256
"""Tokens of a text that are read at a time."""
_SEASONS = {
    60.0: 60,
    300.0: 288,
    600.0: 144,
    900.0: 96,
    1800.0: 48,
    3600.0: 24,
    86400.0: 7,
    MONTH: 12,
}
"""Rows of a season by the seconds between rows: an hour of minutes, else a day, a week of days, a
year of months."""
_TRIED = 1_000
"""Windows on which naive answers are tried, at most."""
_PRF = {"theta_max": 0.7854, "dt_min": 0.1, "dt_max": 1.0, "tau": 30.0}
"""What suits sequences of hundreds of steps and more, as measured on digits and on ETT."""


def classes_recipe(data: OwnFiles, title: str, options: dict[str, Any]) -> str:
    """A recipe, as YAML, that names the classes of these files.

    Args:
        data: the files, which are looked through.
        title: headline of the report.
        options: the data's own options, as given.
    """
    from spikescan.data import Wav

    found = data.found
    rate = found.rate or 0.0
    sound = rate >= _SOUND
    frame = 1 if data.vocabulary else -(-found.length // _LONGEST)
    if sound:
        frame = max(1, round(rate / 1000))
    training = data.parts.count("train")
    batch = max(4, min(32, training // 8))
    counts = [sum(item.label == name for item in data.items) for name in found.classes]
    init = {
        "batch_size": batch,
        **({} if frame == 1 else {"frame": frame}),
        **options,
        "split": asdict(replace(data.split, by=data.way)),
        "found": asdict(found),
    }
    if data.vocabulary:
        init.setdefault("max_length", min(found.length, _LONGEST))
        data.max_length = init["max_length"]
    if isinstance(data, Wav):
        # Found on spoken digits: shifts, loudness and pitch that a recording might have had too.
        init = {"shift": round(0.05 * rate), "gain": 3.0, "speed": 0.08, **init}
    if sound:
        neuron = {"theta_max": 3.1416, "dt_min": 0.2, "dt_max": 1.0, "tau": 6.0}
    else:
        steps = -(-found.length // frame)
        tau = max(2.0, min(30.0, round(steps / 10)))
        neuron = {**_PRF, "tau": tau}
    recipe = {
        "title": title,
        "seed": 0,
        "data": {"class_path": f"spikescan.data.{type(data).__name__}", "init_args": init},
        "model": {"features": 128 if sound else 64, "depth": 2, "block": _block(neuron, 0.1)},
        "task": {
            "optimizer": {"lr": 0.005, "neuron_lr": 0.001, "weight_decay": 0.05},
            **({"class_weights": "balanced"} if max(counts) >= 3 * min(counts) else {}),
        },
        "trainer": {"max_epochs": max(5, min(60, math.ceil(_STEPS * batch / training)))},
    }
    return written(data.survey(_refuses(options)), recipe)


def series_recipe(data: Series, title: str, options: dict[str, Any]) -> str:
    """A recipe, as YAML, that forecasts the columns of a CSV file.

    Args:
        data: the file, which is looked through.
        title: headline of the report.
        options: the data's own options, as given.
    """
    survey = data.survey()
    rows = survey.rows
    season = 5 if survey.weekdays else _SEASONS.get(survey.every or 0.0, 0)
    window = options.get("window") or max(2, min(max(96, 2 * season), rows // 10))
    horizon = options.get("horizon") or max(1, min(24, rows // 40))
    season = season if season <= window else 0
    errors = _naive_errors(data, window, horizon, season)
    base = min(errors, key=lambda name: errors[name])
    init = {
        "train": 0.7,
        "val": 0.1,
        "test": 0.2,
        "batch_size": 64,
        **options,
        "window": window,
        "horizon": horizon,
    }
    recipe = {
        "title": title,
        "seed": 0,
        "data": {"class_path": "spikescan.data.Series", "init_args": init},
        "model": {"features": 16, "depth": 1, "block": _block(_PRF, 0.2)},
        "task": {
            "class_path": "spikescan.tasks.forecasting.Forecasting",
            "init_args": {
                "optimizer": {"lr": 0.002},
                "season": season,
                "relative_to": base,
            },
        },
        "trainer": {"max_epochs": max(3, min(30, math.ceil(64 * _STEPS / rows)))},
    }
    every = "no column of the time says how far rows are apart"
    if survey.every:
        late = f", {survey.gaps:,} late by a row or more" if survey.gaps else ""
        days = ", weekends left out" if survey.weekdays else ""
        every = f"a row every {spell(survey.every)}{days}{late}"
    comments = [
        f"{rows:,} rows; columns to forecast: {', '.join(survey.columns)}",
        f"{every}; {season} rows a season" if season else f"{every}; no season",
        f"missing values: {survey.missing:,}"
        + (REFUSED if survey.missing and _refuses(options) else ""),
        f"the next {horizon} rows are forecast from the last {window}, relative to the {base}: "
        "squared errors without learning, on training rows: "
        + ", ".join(f"{name} {error:.3g}" for name, error in errors.items()),
        *survey.notes,
    ]
    return written(comments, recipe)


def _naive_errors(data: Series, window: int, horizon: int, season: int) -> dict[str, float]:
    """Mean squared error over training windows, in variances of each column, of what a forecast
    may be relative to.

    Raises:
        DataError: the file is too short to be learned from, or has rows in disorder.
    """
    from spikescan.tasks.forecasting import bases

    train = data.windows(window, horizon).train
    batch = train.batch(torch.linspace(0, len(train) - 1, min(len(train), _TRIED)).long(), 0)
    std = data.statistics()[1]
    std = std.where(std > 0, 1.0)
    return {
        name: ((batch.y - base) / std).square().mean().item()
        for name, base in bases(batch.x, horizon, season).items()
    }


def text_recipe(data: Text, title: str, options: dict[str, Any]) -> str:
    """A recipe, as YAML, that names the next token of a text.

    Args:
        data: the file, which is looked through.
        title: headline of the report.
        options: the data's own options, as given.
    """
    size = data.size
    training = int(0.9 * size)
    streams = options.get("batch_size") or max(1, min(32, training // (8 * _STRETCH)))
    length = options.get("length") or max(1, min(_STRETCH, (training - 1) // streams))
    recipe = {
        "title": title,
        "seed": 0,
        "data": {
            "class_path": "spikescan.data.Text",
            "init_args": {**options, "length": length, "batch_size": streams},
        },
        "model": {
            "features": 128,
            "depth": 2,
            "block": {
                "class_path": "spikescan.models.SpikingSSM",
                "init_args": {
                    "norm": "layer",
                    "neuron": {"class_path": "spikescan.DSN", "init_args": {"alpha_start": 0.5}},
                },
            },
        },
        "task": {
            "class_path": "spikescan.tasks.language.Language",
            "init_args": {"optimizer": {"lr": 0.008, "neuron_lr": 0.003, "clip": 1.0}},
        },
        "trainer": {"max_epochs": max(3, min(60, _STEPS * streams * length // training))},
    }
    unit = data.unit
    comments = [
        f"{size:,} {unit}s, {data.facts.vocabulary} different ones",
        f"read in {streams} streams side by side, {length} {unit}s at a time",
    ]
    return written(comments, recipe)


def _refuses(options: dict[str, Any]) -> bool:
    """Whether training refuses missing values, with the data's options as given."""
    return options.get("missing", "refuse") == "refuse"


def _block(neuron: dict[str, float], dropout: float) -> dict[str, Any]:
    return {
        "class_path": "spikescan.models.SDTCM",
        "init_args": {
            "dropout": dropout,
            "neuron": {"class_path": "spikescan.PRF", "init_args": neuron},
        },
    }


def written(comments: list[str], recipe: dict[str, Any]) -> str:
    """A recipe as YAML, below its comments."""
    text = yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return "\n".join([*(f"# {line}" for line in comments), text])
