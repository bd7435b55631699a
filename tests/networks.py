"""Small networks of every kind that folds, with inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from spikescan import ALIF, DPLR, DSN, LIF, PRF, S4D, ProbabilisticSSM, Spatial
from spikescan.models import (
    SDTCM,
    Backbone,
    Classifier,
    LastHead,
    Network,
    PSpikeSSM,
    Scale,
    SpikingSSM,
    StepHead,
)
from support import draw, give_statistics, seeded

_FAST = partial(PRF, threshold=0.3, theta_max=3.0)
_FEW = {"states": 4, "dt_min": 0.05, "dt_max": 0.5}
_S4D, _DPLR = partial(S4D, **_FEW), partial(DPLR, **_FEW)  # type: ignore[arg-type]
_HARD = partial(LIF, tau=5.0, reset="hard", decay_input=True, threshold=0.05, v_reset=-0.02)
_SLOW = partial(DSN, tau=2.0, kernel_size=1, levels=1, alpha_start=0.5)
_MEAN = partial(PSpikeSSM, evaluation="mean")


def _scaled() -> Network:
    scale = Scale(torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5]))
    backbone = Backbone(partial(SDTCM, neuron=_FAST), inputs=2, features=8)
    return Network(backbone, LastHead(8, 2), scale)


NETWORKS: dict[str, Callable[[], Network]] = {
    "PRF": lambda: Classifier(partial(SDTCM, neuron=_FAST), inputs=3, features=72),
    "LIF-prenorm": lambda: Classifier(
        partial(SDTCM, neuron=partial(LIF, tau=5.0), prenorm=True), inputs=8, features=40
    ),
    "LIF-hard": lambda: Classifier(
        partial(SDTCM, neuron=_HARD, norm="none"), features=300, depth=1
    ),
    "LIF-none": lambda: Classifier(
        partial(SDTCM, neuron=partial(LIF, reset="none", tau=9.0)), features=16, depth=1
    ),
    "Spatial": lambda: Classifier(partial(SDTCM, neuron=Spatial), features=17, depth=1),
    "ALIF-readout": lambda: Classifier(
        partial(SDTCM, neuron=ALIF), features=33, depth=1, readout=LIF
    ),
    "DSN": lambda: Classifier(partial(SpikingSSM, neuron=DSN, ssm=_S4D), features=20),
    "DSN-binary": lambda: Classifier(partial(SpikingSSM, neuron=_SLOW, ssm=_DPLR), features=20),
    "P-SpikeSSM-mean": lambda: Classifier(partial(_MEAN, ssm=_S4D), features=20),
    "P-SpikeSSM-DPLR": lambda: Classifier(partial(_MEAN, ssm=_DPLR, prenorm=True), features=20),
    "P-SpikeSSM-sample": lambda: Classifier(partial(PSpikeSSM, ssm=_S4D), features=20),
    "SD-TCM-random": lambda: Classifier(
        partial(SDTCM, neuron=partial(ProbabilisticSSM, ssm=_S4D)), features=20, depth=1
    ),
    "tokens": lambda: Network(Backbone(SDTCM, vocabulary=11, features=32), StepHead(32, 4)),
    "scaled": _scaled,
}
"""With their default depth of two where nothing is said."""


def network(name: str) -> Network:
    """The network in evaluation mode, as after training: its norms do something."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        made = NETWORKS[name]()
        give_statistics(made)
    return made.eval()


def sequences(made: Network, batch: int, steps: int) -> Tensor:
    """Inputs (B, T, inputs), or tokens (B, T)."""
    vocabulary = made.backbone.vocabulary
    if vocabulary is not None:
        return torch.randint(vocabulary, (batch, steps), generator=seeded())
    return draw(batch, steps, made.backbone.inputs)
