"""What decides the numbers of a module is in its repr."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import pytest
import torch
from test_complete import public
from torch import nn

from spikescan import LIF, S4D, Spatial
from spikescan.models import SDTCM, Backbone, LastHead, MeanHead, Scale, SpikingCNN
from spikescan.ops.surrogate import Gaussian

OTHER: dict[str, Any] = {
    "surrogate": Gaussian(0.3),
    "neuron": Spatial,
    "readout": Spatial,
    "block": partial(SDTCM, neuron=LIF),
    "ssm": partial(S4D, dt_min=0.05),
    "norm": "none",
    "reset": "hard",
    "init": "linear",
    "method": "zoh",
    "activation": "gelu",
    "evaluation": "mean",
    "dropout": 0.3,
    "threshold": 0.7,
    "alpha_start": 0.3,
    "vocabulary": 7,
    "padding": 0,
    "steps": 9,
    "backbone": Backbone(SDTCM, features=16, depth=2),
    "image": (2, 3, 4),
    "encoder": partial(SpikingCNN, image=(1, 1, 1)),
    "scale": Scale(torch.zeros(1), torch.ones(1)),
    "head": LastHead(16, 2),
}
"""Another value of an option, where twice its default is none."""
NEEDED: dict[str, Any] = {
    "features": 16,
    "inputs": 3,
    "outputs": 4,
    "steps": 5,
    "block": SDTCM,
    "image": (2, 4, 3),
    "backbone": Backbone(SDTCM, features=16, depth=1),
    "head": MeanHead(16, 2),
}
SPEED_ALONE = {("SpikingTransformer", "piece")}
WITH: dict[str, dict[str, Any]] = {"v_reset": {"reset": "hard"}}
"""Options without which another one does nothing."""


def settings() -> list[tuple[type[nn.Module], str]]:
    return sorted(
        (
            (kind, name)
            for kind in public()
            for name in inspect.signature(kind).parameters
            if (kind.__name__, name) not in SPEED_ALONE
        ),
        key=lambda pair: (pair[0].__name__, pair[1]),
    )


def words(kind: type[nn.Module], **options: Any) -> str:
    torch.manual_seed(0)
    required = {
        name: NEEDED[name]
        for name, argument in inspect.signature(kind).parameters.items()
        if argument.default is argument.empty
    }
    return repr(kind(**{**required, **options}))


@pytest.mark.parametrize(
    ("kind", "name"), settings(), ids=lambda v: v if isinstance(v, str) else v.__name__
)
def test_another_setting_is_another_repr(kind: type[nn.Module], name: str) -> None:
    default = inspect.signature(kind).parameters[name].default
    start = NEEDED[name] if default is inspect.Parameter.empty else default
    other = OTHER.get(name)
    if isinstance(start, bool):
        other = not start
    elif other is None:
        other = 2 * start or 0.25
    more = WITH.get(name, {})
    assert words(kind, **more, **{name: other}) != words(kind, **more), other
    assert words(kind, **more) == words(kind, **more)
