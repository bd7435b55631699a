"""Forecasts of ETTh1 and ETTh2, 96 to 720 hours ahead: networks with spikes beside those without.

``python benchmarks/forecasts.py RUNS`` trains all of them into the folder RUNS, and leaves out what
is there already. Each takes one to three minutes on one core. ``spikescan results add RUNS/*-s?
--to results/forecasts`` keeps what is shown. All read the last 96 hours, each series by itself.
"""

from __future__ import annotations

import shlex
import sys
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from trained import train_into

from spikescan.models.blocks.base import Block
from spikescan.models.walk import Trail

FILES = ("ETTh1", "ETTh2")
HORIZONS = (96, 192, 336, 720)
NETWORKS = {
    "sd-tcm": "",
    "dsn-ssm": "--model.block spikescan.models.SpikingSSM --model.block.norm batch "
    "--model.block.neuron spikescan.DSN --model.block.neuron.alpha_start 0.9",
    "dsn-transformer": "--model.block spikescan.models.SpikingTransformer "
    "--model.block.neuron spikescan.DSN --model.block.neuron.alpha_start 0.9",
    "gru": "--model.block spikescan.models.GRUBlock",
    "dlinear": "--model.block forecasts.Decomposed --model.features 2",
}
"""What is changed in the recipe etth1."""

WIDTH = 25
"""Hours that the trend is a mean of, as in DLinear."""


class Decomposed(Block):
    """A series as its moving mean and what is left of it; with a readout of the whole window, the
    linear forecaster of Zeng et al. 2022 (arXiv 2205.13504)."""

    @property
    def causal(self) -> bool:
        return False

    def forward(
        self, x: Tensor, state: None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, None]:
        one = x[:, :, 0]
        around = (WIDTH // 2, WIDTH // 2)
        trend = F.avg_pool1d(F.pad(one.unsqueeze(1), around, mode="replicate"), WIDTH, stride=1)
        return torch.stack((trend.squeeze(1), one - trend.squeeze(1)), -1), None

    def parts(self, trail: Trail, x: str) -> str:
        raise NotImplementedError("a moving mean has no record")


def main(runs: Path) -> None:
    for horizon, file, (name, options) in product(HORIZONS, FILES, NETWORKS.items()):
        changed = f"etth1 --data.path ett/{file}.csv --data.horizon {horizon} {options}"
        train_into(runs / f"{name}-{file.lower()}-{horizon}-s0", shlex.split(changed))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
